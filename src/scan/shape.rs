//! The one place where a relation's columns are compared with those that its service has.
//!
//! A foreign table is made by whoever may use a server, with any columns. So a relation is compared when a query over it is planned, when a scan of it
//! begins (with the descriptor that the executor works with) and, for the user to learn of it early, when it is created or altered. A scan gives no value
//! to a column that did not pass here.

use crate::error::{self, Misfit};
use crate::pg::attribute::{self, Attribute};
use crate::pg::foreign;
use crate::pg::relation::{self, Oid};
use crate::source::any::{self, ColumnSet};
use crate::source::column::Column;

/// What each attribute (from 0) of a relation is; `None` for a dropped one.
pub type Shape = Vec<Option<Column>>;

/// Raises an error unless every column of the relation is one of its service's.
pub fn check(table: Oid) {
    of_relation(table);
}

/// Is every column one of its service's?
pub fn is_sound(table: Oid) -> bool {
    compare(&attribute::of_relation(table), set_of(table)).is_ok()
}

/// What each attribute of a relation is; raises an error for a column that its service does not have in this form.
pub fn of_relation(table: Oid) -> Shape {
    of_attributes(table, set_of(table), &attribute::of_relation(table))
}

/// The same of the attributes that a scan works with.
pub fn of_attributes(table: Oid, set: ColumnSet, attributes: &[Option<Attribute>]) -> Shape {
    compare(attributes, set).unwrap_or_else(|misfit| {
        let name = relation::qualified_name(table).unwrap_or_default();
        error::stream_shape(&name, &misfit, &set.names()).raise()
    })
}

/// Which columns a relation may have.
pub fn set_of(table: Oid) -> ColumnSet {
    any::column_set(&foreign::of_table(table).0)
}

fn compare(attributes: &[Option<Attribute>], set: ColumnSet) -> Result<Shape, Misfit> {
    let column = |attribute: &Attribute| {
        let Some((kind, column)) = set.find(&attribute.name) else {
            return Err(Misfit::Unknown(attribute.name.clone()));
        };
        if !attribute.is_of(kind) {
            let (has, wanted) = (attribute.type_name(), kind.to_string());
            return Err(Misfit::Type(attribute.name.clone(), has, wanted));
        }
        if attribute.is_generated {
            return Err(Misfit::Generated(attribute.name.clone()));
        }
        Ok(column)
    };
    let attributes = attributes.iter();
    attributes
        .map(|attribute| attribute.as_ref().map(column).transpose())
        .collect()
}
