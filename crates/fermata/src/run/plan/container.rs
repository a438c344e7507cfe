//! What a container has beside its program, health and ports.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use fermata_spec::{Resources, SecurityContext};

use super::Value;

/// What a container has beside its program, health and ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPlan {
    /// What all containers of this file belong to, and the name of their network.
    pub project: Arc<str>,
    /// The image.
    pub image: ImagePlan,
    /// The processes that require it, for which its ports are at 127.0.0.1 too, under their own numbers.
    pub published_for: Vec<Arc<str>>,
    /// Who it runs as, and what it may.
    pub security: SecurityContext,
    /// What it gets for certain.
    pub requests: Resources,
    /// What it gets at most.
    pub limits: Resources,
    /// Its volumes.
    pub mounts: Vec<MountPlan>,
    /// Labels of the file's own.
    pub labels: Vec<(String, String)>,
    /// Run inside it once it has started.
    pub post_start: Option<Vec<Value>>,
    /// Run inside it before it is stopped.
    pub pre_stop: Option<Vec<Value>>,
}

impl ContainerPlan {
    /// Whether its ports are at 127.0.0.1 under their own numbers, which two cannot have.
    pub fn is_published(&self) -> bool {
        !self.published_for.is_empty()
    }
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImagePlan {
    /// It has this name: the engine has it, or pulls it.
    Named(String),
    /// It is built.
    Built(BuildPlan),
}

impl ImagePlan {
    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            ImagePlan::Named(name) => name,
            ImagePlan::Built(build) => &build.name,
        }
    }
}

impl fmt::Display for ImagePlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImagePlan::Named(name) => out.write_str(name),
            ImagePlan::Built(build) => {
                write!(out, "{}, built from {}", build.name, build.root.join(&build.dockerfile).display())
            }
        }
    }
}

/// What an image is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildPlan {
    /// What it is called then.
    pub name: String,
    /// The folder that the build sees.
    pub root: PathBuf,
    /// The Dockerfile, from there.
    pub dockerfile: String,
}

/// One volume of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountPlan {
    /// What of this machine; nothing: an empty volume of the container's own.
    pub host: Option<PathBuf>,
    /// Where in the container.
    pub path: String,
    /// Whether it can only be read there.
    pub read_only: bool,
    /// `mount_propagation`.
    pub propagation: Option<String>,
    /// Whether anybody may write there if it has to be made, as it is Fermata's own and not the file's.
    pub open: bool,
}
