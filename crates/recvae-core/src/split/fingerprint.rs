//! What data are, in one line: sizes and a hash, by which a job that goes on tells that it is given the same ones.

use xxhash_rust::xxh3::Xxh3;

use crate::data::ids::Ids;
use crate::math::csr::Csr;
use crate::split::parts::Split;

impl Split {
    /// Sizes and a hash of all parts with their ids: splits of the same line are one and the same. Not for
    /// cryptography.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let (train, validation, test) = (&self.train, &self.validation, &self.test);
        let matrices = [train.matrix(), validation.input(), validation.target(), test.input(), test.target()];
        let hash = hash(&matrices, &[train.users(), train.items(), validation.users(), test.users()]);
        format!(
            "{} training users x {} items with {} interactions, {} validation users, {} test users, hash {hash:032x}",
            train.n_users(),
            train.n_items(),
            train.n_interactions(),
            validation.n_users(),
            test.n_users(),
        )
    }
}

/// Sizes and a hash of matrices and ids.
pub(crate) fn describe(matrices: &[&Csr], ids: &[&Ids]) -> String {
    let matrix = |it: &&Csr| format!("{} users x {} items with {} interactions", it.n_rows(), it.n_cols(), it.nnz());
    let words: Vec<_> = matrices.iter().map(matrix).chain(ids.iter().map(|ids| format!("{} ids", ids.len()))).collect();
    format!("{}, hash {:032x}", words.join(", "), hash(matrices, ids))
}

/// XXH3 of the index arrays and of the ids.
fn hash(matrices: &[&Csr], ids: &[&Ids]) -> u128 {
    let mut hash = Xxh3::new();
    for matrix in matrices {
        hash.update(bytemuck::cast_slice(matrix.indptr()));
        hash.update(bytemuck::cast_slice(matrix.indices()));
        hash.update(bytemuck::cast_slice(matrix.weights().unwrap_or_default()));
    }
    for ids in ids {
        let (bytes, ends) = ids.as_parts();
        hash.update(bytes);
        hash.update(bytemuck::cast_slice(ends));
    }
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use crate::data::interactions::{Interactions, Thresholds};
    use crate::split::options::SplitOptions;
    use crate::split::parts::Split;
    use crate::split::strong::split;

    fn example(last: &str, seed: u64) -> Split {
        let (mut users, mut items) = (vec![], vec![]);
        for user in 0..40 {
            for item in 0..8 {
                users.push(format!("u{user}"));
                items.push(if user == 39 && item == 7 { last.to_owned() } else { format!("i{}", (user + item) % 20) });
            }
        }
        let data = Interactions::from_columns(&users, &items, None, None, &Thresholds::default()).unwrap();
        split(&data, &SplitOptions { seed, validation: 8.0, test: 8.0, ..SplitOptions::default() }).unwrap()
    }

    #[test]
    fn the_same_split_has_the_same_fingerprint_and_others_have_others() {
        let first = example("i6", 1).fingerprint();
        assert_eq!(first, example("i6", 1).fingerprint());
        assert_ne!(first, example("i6", 2).fingerprint());
        assert_ne!(first, example("i19", 1).fingerprint());
        let mut weighted = example("i6", 1);
        let matrix = weighted.train.matrix().clone();
        let weights = vec![2.0; matrix.nnz()];
        let (users, items) = (weighted.train.users().clone(), weighted.train.items().clone());
        weighted.train = Interactions::new(users, items, matrix.with_weights(weights).unwrap()).unwrap();
        assert_ne!(first, weighted.fingerprint());
        assert!(first.starts_with("24 training users x "), "{first}");
        assert!(first.contains(" interactions, 8 validation users, 8 test users, hash "), "{first}");
    }
}
