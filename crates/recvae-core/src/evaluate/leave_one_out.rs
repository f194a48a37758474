//! What a score owes to each item of a history, of any model.

use ndarray::Array2;

use crate::base::cancel::Cancel;
use crate::base::error::Result;
use crate::evaluate::scorer::Scorer;
use crate::evaluate::top_k::BLOCK;

/// What the score of `item` loses when each one of the history's items is left out. Memory: 256 histories.
pub(crate) fn leave_one_out(
    model: &(impl Scorer + ?Sized),
    history: &[u32],
    item: u32,
    cancel: &Cancel,
) -> Result<Vec<f64>> {
    let mut losses = Vec::with_capacity(history.len());
    let positions: Vec<usize> = (0..history.len()).collect();
    for block in positions.chunks(BLOCK) {
        cancel.check()?;
        let shorter: Vec<Vec<u32>> = block.iter().map(|&left_out| without(history, left_out)).collect();
        // The whole one in each block: its score comes out of the same product as those it is compared with.
        let histories: Vec<&[u32]> = std::iter::once(history).chain(shorter.iter().map(Vec::as_slice)).collect();
        let mut scores = Array2::zeros((histories.len(), 1));
        model.score_some(&histories, &[item], scores.view_mut())?;
        let scores = scores.column(0);
        losses.extend(scores.iter().skip(1).map(|&score| f64::from(scores[0]) - f64::from(score)));
    }
    Ok(losses)
}

fn without(history: &[u32], position: usize) -> Vec<u32> {
    [&history[..position], &history[position + 1..]].concat()
}
