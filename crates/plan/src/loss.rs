//! What a view does when records were lost before they could be read: the option `on_data_loss`.

/// The option.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum OnDataLoss {
    /// Raise an error that names what is lost.
    #[default]
    Fail,
    /// Go on at the earliest record and log what is lost.
    Continue,
}

impl OnDataLoss {
    /// By its name in WITH (..).
    pub fn of_name(name: &str) -> Option<OnDataLoss> {
        match name {
            "fail" => Some(OnDataLoss::Fail),
            "continue" => Some(OnDataLoss::Continue),
            _ => None,
        }
    }

    /// Its name in WITH (..).
    pub fn name(self) -> &'static str {
        match self {
            OnDataLoss::Fail => "fail",
            OnDataLoss::Continue => "continue",
        }
    }
}
