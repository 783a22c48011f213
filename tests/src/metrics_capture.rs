//! A recorder of what is told to the facade `metrics`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// What was told, by whatever thread.
#[derive(Clone, Default)]
pub struct Numbers(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    values: BTreeMap<String, f64>,
    kinds: BTreeMap<String, (&'static str, BTreeSet<String>)>,
    described: BTreeSet<String>,
}

impl Numbers {
    /// Hears what is told in the whole process, from now on.
    ///
    /// # Panics
    /// If somebody hears already.
    #[must_use]
    pub fn start() -> Self {
        let numbers = Self::default();
        assert!(metrics::set_global_recorder(numbers.clone()).is_ok(), "nobody hears");
        numbers
    }

    /// The value of a series, such as `name{a=b,c=d}` with its labels in the order of their names:
    /// of a histogram how often something was recorded.
    #[must_use]
    pub fn of(&self, series: &str) -> Option<f64> {
        self.lock().values.get(series).copied()
    }

    /// All series.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, f64> {
        self.lock().values.clone()
    }

    /// By its name, what each is and the labels that it was told with.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<String, (&'static str, BTreeSet<String>)> {
        self.lock().kinds.clone()
    }

    /// The names that were described.
    #[must_use]
    pub fn described(&self) -> BTreeSet<String> {
        self.lock().described.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, name: &KeyName) {
        self.lock().described.insert(name.as_str().to_owned());
    }

    fn series(&self, kind: &'static str, key: &Key) -> Arc<Series> {
        let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned()));
        let labels: BTreeMap<_, _> = labels.collect();
        let texts: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let name = format!("{}{{{}}}", key.name(), texts.join(","));
        let seen = labels.into_keys().collect();
        let before = self.lock().kinds.insert(key.name().to_owned(), (kind, seen));
        if let Some(before) = before {
            assert_eq!(self.kinds()[key.name()], before, "one kind, the same labels");
        }
        Arc::new(Series { name, numbers: self.clone() })
    }
}

struct Series {
    name: String,
    numbers: Numbers,
}

impl Series {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(self.numbers.lock().values.entry(self.name.clone()).or_default());
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.change(|now| *now += f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
    }

    fn absolute(&self, value: u64) {
        self.change(|now| *now = f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
    }
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        self.change(|now| *now += value);
    }

    fn decrement(&self, value: f64) {
        self.change(|now| *now -= value);
    }

    fn set(&self, value: f64) {
        self.change(|now| *now = value);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        assert!((0.0..3600.0).contains(&value), "{}: {value} seconds", self.name);
        self.change(|now| *now += 1.0);
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series("counter", key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series("gauge", key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series("histogram", key))
    }
}
