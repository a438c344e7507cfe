//! What a file says to `HAProxy` alone.

/// `load_balancer.haproxy`, and of `load_balancer.configuration` what only `HAProxy` has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Haproxy {
    /// Lines of the user's own, by section.
    pub snippets: Snippets,
    /// Who may see the statistics page, and by which password.
    pub statistics: Option<(String, String)>,
    /// Files with answers to send instead of `HAProxy`'s own, by status; relative to the file's folder.
    pub errorfiles: Vec<(u16, String)>,
    /// Headers of checks.
    pub check_headers: Vec<(String, String)>,
}

/// Lines that are put at the end of sections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snippets {
    /// Of `global`.
    pub global: Option<String>,
    /// Of `defaults`.
    pub defaults: Option<String>,
    /// Of the frontend on 80 and 443.
    pub frontend: Option<String>,
    /// Of the backend for requests.
    pub web: Option<String>,
    /// Of the backend for WebSockets.
    pub sockets: Option<String>,
    /// Of every port that is passed through.
    pub passed: Option<String>,
}
