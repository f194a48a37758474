//! What data lost on their way to a model: how much of what, and why. Nothing goes without a word.

use serde_json::{Value, json};

/// Something that was left out, or that does not take part somewhere.
///
/// | `reason` | what |
/// | --- | --- |
/// | `badRows` | rows that could not be understood, up to `skipBadRows` |
/// | `minValue` | rows whose value was too low |
/// | `time` | rows outside `since` and `until` |
/// | `duplicates` | rows with a pair of user and item that was there already |
/// | `emptyHistories` | histories without items, which count as rows here |
/// | `thresholds` | users and items with too few of the other, and their interactions |
/// | `shortUsers` | users with fewer than `minUserItems` items, who are dropped |
/// | `neverHeldOut` | the same users, who are trained on but never held out |
/// | `noTrainingUser` | items that no training user has, and the held-out users' interactions with them |
/// | `newItems` | items that no training interaction has, where the split is within users |
/// | `newUsers` | users of whom nothing is known before the part in which they would be asked |
/// | `notScored` | held-out users with nothing to find, who do not count in metrics |
/// | `sample` | training users and items that a sample does not have |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Why, in a word.
    pub reason: &'static str,
    /// Rows of the input.
    pub rows: u64,
    /// Users.
    pub users: u64,
    /// Items.
    pub items: u64,
    /// Distinct pairs of user and item.
    pub interactions: u64,
    /// All of that in a sentence.
    pub text: String,
}

impl LeftOut {
    /// All fields by their names.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "reason": self.reason, "rows": self.rows, "users": self.users, "items": self.items,
            "interactions": self.interactions, "text": self.text,
        })
    }

    /// Rows that are left out for `why`; nothing if there are none.
    pub(crate) fn rows(reason: &'static str, rows: u64, why: &str) -> Option<Self> {
        let text = format!("{} left out for {why}", are(&[(rows, "row")]));
        (rows > 0).then(|| Self { reason, rows, text, ..Self::default() })
    }
}

/// "1 user", "2 users and 3 items"; what there is none of is not named.
pub(crate) fn counted(counts: &[(u64, &str)]) -> String {
    let words = counts.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}{}", plural(*n)));
    let words: Vec<_> = words.collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => counts.first().map_or_else(String::new, |(_, name)| format!("0 {name}s")),
    }
}

/// The same with the verb.
pub(crate) fn are(counts: &[(u64, &str)]) -> String {
    let total: u64 = counts.iter().map(|(n, _)| *n).sum();
    format!("{} {}", counted(counts), if total == 1 { "is" } else { "are" })
}

fn plural(n: u64) -> &'static str {
    if n == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_agree() {
        for (counts, text) in [
            (&[(1, "row")][..], "1 row is"),
            (&[(2, "row")], "2 rows are"),
            (&[(1, "user"), (0, "item"), (2, "interaction")], "1 user and 2 interactions are"),
            (&[(3, "user"), (1, "item"), (1, "interaction")], "3 users, 1 item and 1 interaction are"),
            (&[(0, "row")], "0 rows are"),
        ] {
            assert_eq!(are(counts), text);
        }
        assert_eq!(LeftOut::rows("minValue", 0, "a low value"), None);
        let one = LeftOut::rows("minValue", 1, "a value below minValue").unwrap();
        assert_eq!(
            one.to_json(),
            json!({
                "reason": "minValue", "rows": 1, "users": 0, "items": 0, "interactions": 0,
                "text": "1 row is left out for a value below minValue",
            })
        );
    }
}
