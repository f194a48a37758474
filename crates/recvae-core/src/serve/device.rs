//! A model whose lists of many users are found on a GPU.

#[cfg(feature = "candle")]
use std::sync::Arc;

use crate::base::compute::Device;
use crate::base::error::{Error, Result};
#[cfg(feature = "candle")]
use crate::base::memory::MemoryEstimate;
#[cfg(feature = "candle")]
use crate::base::tensors::open;
#[cfg(feature = "candle")]
use crate::evaluate::device_lists::{DeviceLists, device_bytes};
#[cfg(feature = "candle")]
use crate::models::device::{CUDA_ITSELF, check_device};
use crate::serve::recommender::Recommender;

impl Recommender {
    /// The same with lists of many users found on a device: `cpu`, `cuda`, `cuda:N`, or `auto` for the first GPU that
    /// opens if it has the memory for a model that it is for, else the processor. Items and bits of the lists do not
    /// depend on it. All else is the processor's: the lists of few users, filters that allow few items, similar items
    /// and reasons.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a device that is not there, and for a GPU where the model's scores are neither products
    /// of vectors nor sums of rows in f32; `MEMORY` of a GPU, with the figures.
    pub fn on(self, device: &str) -> Result<Self> {
        match device.parse()? {
            Device::Cpu => Ok(self),
            place => self.on_gpu(place, device == "auto"),
        }
    }

    #[cfg(feature = "candle")]
    fn on_gpu(self, place: Device, or_here: bool) -> Result<Self> {
        let Some([items, scores]) = device_bytes(self.model()) else {
            return if or_here { Ok(self) } else { Err(self.not_for(place)) };
        };
        let estimate = MemoryEstimate::new(items.1, &[items, scores, ("CUDA itself", CUDA_ITSELF)], "");
        let sent =
            check_device("finding lists", place, &estimate).and_then(|()| DeviceLists::new(self.model(), open(place)?));
        match sent {
            Ok(lists) => Ok(self.with_lists(lists.map(|lists| Arc::new(lists) as _))),
            Err(Error::Memory(_)) if or_here => Ok(self),
            Err(error) => Err(error),
        }
    }

    #[cfg(not(feature = "candle"))]
    fn on_gpu(self, place: Device, _: bool) -> Result<Self> {
        Err(self.not_for(place))
    }

    fn not_for(&self, place: Device) -> Error {
        let got = format!("'{place}' for lists of this model, {}", self.model().kind().name());
        let allowed = "cpu or auto there, or ease, edlae, rdlae, deql with all their weights in f32, als, mult-dae, mult-vae, \
                       recvae, hvamp";
        Error::invalid_argument("device", got, allowed)
    }
}

#[cfg(test)]
#[cfg(feature = "candle")]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::base::cancel::Cancel;
    use crate::base::random::Stream;
    use crate::math::csr::Csr;
    use crate::model::{CompactOptions, ModelKind};
    use crate::serve::lists::Within;
    use crate::serve::recommender::{History, RecommendOptions};
    use crate::test_support::gpu;
    use crate::train::run::FitRun;

    const ITEMS: usize = 150;

    fn train() -> Csr {
        let mut random = Stream::new(31, 0);
        let mut row = |user: u64| -> Vec<u32> {
            (0..ITEMS as u32).filter(|item| random.below(4 + u64::from(item % 40) + user % 5) == 0).collect()
        };
        let rows: Vec<Vec<u32>> = (0..400).map(&mut row).collect();
        Csr::from_rows(&rows, ITEMS).unwrap()
    }

    fn recommender(kind: ModelKind, train: &Csr) -> Recommender {
        let fit = kind.fit(&kind.least_options(), train, None, &FitRun::default()).unwrap();
        let ids = (0..ITEMS).map(|item| format!("i{item}")).collect();
        Recommender::new(fit.model, ids, Value::Null).unwrap().with_counts(train.column_counts()).unwrap()
    }

    /// Every kind that a GPU is for, all forms of serving; the processor's device of candle, and a GPU where one opens.
    #[test]
    fn a_gpu_serves_what_the_processor_serves() {
        let train = train();
        let devices = || [Some(Device::Cpu), gpu()].into_iter().flatten();
        let mut able = vec![];
        for &kind in ModelKind::TRAINED {
            let here = recommender(kind, &train);
            if device_bytes(here.model()).is_none() {
                continue;
            }
            able.push(kind.name());
            // Some are empty.
            let histories: Vec<History> = (0..300)
                .map(|user| History {
                    items: if user % 9 == 0 { vec![] } else { train.row(user).to_vec() },
                    unknown: vec![],
                })
                .collect();
            let most: Vec<String> = (0..ITEMS).filter(|item| item % 30 != 7).map(|item| format!("i{item}")).collect();
            for device in devices() {
                let there = recommender(kind, &train);
                let lists = DeviceLists::new(there.model(), open(device).unwrap()).unwrap().unwrap();
                let there = there.with_lists(Some(Arc::new(lists)));
                let (filter, filter_there) =
                    [&here, &there].map(|model| model.filter(Some(&most), &["i3".to_owned()], None).unwrap()).into();
                for filter_seen in [true, false] {
                    let options = RecommendOptions { k: 12, filter_seen, ..RecommendOptions::default() };
                    let serve = |model: &Recommender, within: Within<'_>| {
                        model.serve(&histories, &options, within, &Cancel::default()).unwrap()
                    };
                    assert_eq!(serve(&there, Within::All), serve(&here, Within::All), "{kind:?}");
                    let (expected, found) =
                        (serve(&here, Within::One(&filter)), serve(&there, Within::One(&filter_there)));
                    assert_eq!(found, expected, "{kind:?}");
                }
                let stopped = Cancel::default();
                stopped.cancel();
                let options = RecommendOptions::default();
                let error = there.serve(&histories, &options, Within::All, &stopped).unwrap_err();
                assert_eq!(error.code(), "CANCELLED");
            }
        }
        // What errors say that a GPU is for.
        let refused = recommender(ModelKind::Popularity, &train).not_for(Device::Cuda(0)).to_string();
        let (got, allowed) = refused.split_once("; allowed: ").unwrap();
        assert_eq!(got, "device is 'cuda:0' for lists of this model, popularity");
        let named: Vec<&str> = allowed.split(['-', ' ', ',']).collect();
        let is_named = |name: &&str| name.split('-').all(|part| named.contains(&part));
        let all: Vec<&str> = ModelKind::TRAINED.iter().map(|kind| kind.name()).filter(|name| is_named(name)).collect();
        assert_eq!(all, able);
    }

    #[test]
    fn the_processor_is_no_device_and_a_gpu_has_to_be_there() {
        let train = train();
        let model = recommender(ModelKind::Ease, &train).on("cpu").unwrap();
        let half = CompactOptions { top_per_item: Some(5), precision: None };
        assert!(device_bytes(model.compact(&half).unwrap().model()).is_none());
        let error = model.on("cuda:99").err().unwrap().to_string();
        assert!(error.starts_with("device is 'cuda:99'; allowed: cpu"), "{error}");
        assert!(recommender(ModelKind::Popularity, &train).on("auto").is_ok());
    }
}
