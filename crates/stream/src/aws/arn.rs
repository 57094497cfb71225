//! The forms of what AWS names things by: regions and ARNs. What does not have them never becomes part of a host name that a signed request goes to.

/// Is this the name of a region: `us-east-1`, `us-gov-west-1`, `ap-southeast-2`? Which of them exist changes, the form does not: words of small letters, and a
/// number.
pub fn is_region(text: &str) -> bool {
    const LONGEST: usize = 32;
    let mut words = text.split('-');
    let number = words.next_back().unwrap_or_default();
    let letters = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    let words: Vec<&str> = words.collect();
    text.len() <= LONGEST
        && words.len() >= 2
        && words.iter().all(|word| letters(word))
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// An ARN's parts: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE` ("Amazon Resource Names" of the IAM user guide).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arn<'a> {
    /// The service that it is of.
    pub service: &'a str,
    /// The region; `None` of services without regions.
    pub region: Option<&'a str>,
    /// Twelve digits.
    pub account: &'a str,
    /// What it names, such as `role/NAME`.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Takes it apart; `None` if one of the parts cannot be.
    pub fn parse(text: &'a str) -> Option<Arn<'a>> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next();
        let (arn, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let is_partition = partition == "aws"
            || partition
                .strip_prefix("aws-")
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_name_byte));
        let fits = arn == "arn"
            && is_partition
            && !service.is_empty()
            && service.bytes().all(is_name_byte)
            && (region.is_empty() || is_region(region))
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && !resource.is_empty()
            && resource.bytes().all(|b| b.is_ascii_graphic());
        fits.then_some(Arn {
            service,
            region: (!region.is_empty()).then_some(region),
            account,
            resource,
        })
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_a_form() {
        for region in [
            "us-east-1",
            "eu-central-2",
            "us-gov-west-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "cn-northwest-1",
            "ap-southeast-7",
            "il-central-1",
            "eusc-de-east-1",
            "mx-central-1",
        ] {
            assert!(is_region(region), "{region}");
        }
        for text in [
            "",
            "us-east",
            "us-east-1.evil.example",
            "evil.example/?x=us-east-1",
            "us-east-1@evil.example#",
            "us-east-1:8443",
            "US-EAST-1",
            "east-1",
            "us--1",
            "us-east-123",
            " us-east-1",
            "us-east-1\n",
            "x.y-z-1",
            "us-east-\u{661}",
            &format!("{}-east-1", "a".repeat(40)),
        ] {
            assert!(!is_region(text), "{text:?}");
        }
    }

    #[test]
    fn arns_are_taken_apart() {
        let arn = Arn::parse("arn:aws:kafka:us-east-1:123456789012:cluster/orders/0-1").unwrap();
        assert_eq!(
            (arn.service, arn.region, arn.account),
            ("kafka", Some("us-east-1"), "123456789012")
        );
        assert_eq!(arn.resource, "cluster/orders/0-1");
        let role = Arn::parse("arn:aws-us-gov:iam::123456789012:role/team/reader").unwrap();
        assert_eq!((role.region, role.resource), (None, "role/team/reader"));
        assert!(
            Arn::parse("arn:aws-iso-b:secretsmanager:us-isob-east-1:123456789012:secret:x:y")
                .is_some()
        );
    }

    #[test]
    fn what_is_no_arn_is_refused() {
        for text in [
            "",
            "arn",
            "arn:aws:kafka:us-east-1:123456789012",
            "arn:aws:kafka:us-east-1:123456789012:",
            "arn:aws:kafka:evil.example/:123456789012:cluster/x",
            "arn:aws:kafka:us-east-1.evil.example:123456789012:cluster/x",
            "arn:evil:kafka:us-east-1:123456789012:cluster/x",
            "arn:aws:ka.fka:us-east-1:123456789012:cluster/x",
            "arn:aws:kafka:us-east-1:1:cluster/x",
            "arn:aws:kafka:us-east-1:12345678901a:cluster/x",
            "arn:aws:kafka:us-east-1:123456789012:cluster/\r\nHost: x",
            "arn:aws-:iam::123456789012:role/x",
            "ARN:aws:iam::123456789012:role/x",
        ] {
            assert!(Arn::parse(text).is_none(), "{text:?}");
        }
    }
}
