"""SAC and MDPO off-policy: Pendulum, and MuJoCo at two scales."""
