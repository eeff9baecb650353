"""What SAC, MDPO off-policy and CQL share: a soft actor-critic with a slot for what policy and
critics pay."""
