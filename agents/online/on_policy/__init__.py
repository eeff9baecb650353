"""The ground that PPO, MDPO and TRPO share: state, acting, advantages, fitting V. No agent."""
