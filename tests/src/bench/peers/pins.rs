//! What the peers need, an environment for each.

use crate::environment::Environment;

pub(super) const DLT: Environment =
    Environment { name: "dlt", requirements: include_str!("dlt.txt") };
pub(super) const MELTANO: Environment =
    Environment { name: "meltano-target", requirements: include_str!("meltano_target.txt") };
pub(super) const PIPELINEWISE: Environment = Environment {
    name: "pipelinewise-target",
    requirements: include_str!("pipelinewise_target.txt"),
};
pub(super) const TAP: Environment =
    Environment { name: "tap-toggl", requirements: include_str!("tap_toggl.txt") };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned() {
        for environment in [DLT, MELTANO, PIPELINEWISE, TAP] {
            environment.assert_pinned();
        }
    }
}
