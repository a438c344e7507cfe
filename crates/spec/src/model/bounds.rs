//! Resources, and bounds for the number of instances.

/// `constraints`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Constraints {
    /// `resources.requests`.
    pub requests: Resources,
    /// `resources.limits`.
    pub limits: Resources,
    /// `min_count`.
    pub min_count: Option<u32>,
    /// `max_count`.
    pub max_count: Option<u32>,
    /// `max_unavailable`; default 50 %.
    pub max_unavailable: Share,
    /// `max_surge`; default 50 %.
    pub max_surge: Share,
    /// `servers.names`.
    pub server_names: Vec<String>,
    /// `servers.tags`, `key=value`.
    pub server_tags: Vec<String>,
    /// `tolerations`, as they are.
    pub tolerations: Option<serde_json::Value>,
}

/// Memory in bytes, CPU in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Resources {
    /// Bytes.
    pub memory: Option<u64>,
    /// Thousandths of a CPU.
    pub cpu: Option<u32>,
}

/// A percentage or a number of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// 0–100.
    Percent(u32),
    /// Instances.
    Count(u32),
}

impl Default for Share {
    fn default() -> Self {
        Share::Percent(50)
    }
}
