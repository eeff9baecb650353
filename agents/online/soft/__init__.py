"""What SAC and MDPO off-policy share: a soft actor-critic with a slot for what the policy pays."""
