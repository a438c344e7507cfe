//! Folders of the host in a container.

/// One volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Absolute path in the container.
    pub mount_path: String,
    /// What is mounted.
    pub source: VolumeSource,
    /// Default false.
    pub read_only: bool,
    /// `mount_propagation`.
    pub mount_propagation: Option<String>,
    /// `sub_path`.
    pub sub_path: Option<String>,
    /// `sub_path_expr`.
    pub sub_path_expr: Option<String>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq)]
pub enum VolumeSource {
    /// A path of the host.
    HostPath(String),
    /// Anything Kubernetes knows, under its `snake_case` name, as it is.
    Kubernetes(String, serde_json::Value),
}
