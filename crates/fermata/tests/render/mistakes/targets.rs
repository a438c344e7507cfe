//! The names of targets that are named often.

pub(super) const ALB: &str = "aws-alb";
pub(super) const NLB: &str = "aws-nlb";
pub(super) const ALB_TEMPLATE: &str = "aws-alb-cloudformation";
pub(super) const NLB_TEMPLATE: &str = "aws-nlb-cloudformation";
pub(super) const GCP_ALB: &str = "gcp-alb";
pub(super) const GCP_NLB: &str = "gcp-nlb";
pub(super) const APPGW: &str = "azure-appgw";
pub(super) const AZURE_LB: &str = "azure-lb";
pub(super) const OCEAN: &str = "digitalocean";
pub(super) const OCTAVIA: &str = "openstack-octavia";
