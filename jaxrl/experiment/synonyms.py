"""What people of other libraries call our options."""

from __future__ import annotations

SYNONYMS: tuple[tuple[str, str], ...] = (
    (
        "hp.learning_rate hp.actor_learning_rate",
        "lr learning_rate step_size stepsize pi_lr policy_lr actor_lr lr_actor",
    ),
    ("hp.critic_learning_rate hp.learning_rate", "critic_lr lr_critic q_lr vf_lr qf_lr value_lr"),
    ("hp.temperature_learning_rate", "alpha_lr temperature_lr temp_lr"),
    ("hp.discount", "gamma discount_factor reward_discount"),
    ("hp.gae_lambda hp.trace_lambda hp.q_lambda", "lam lambda lmbda td_lambda"),
    ("hp.clip", "clip_range cliprange clip_coef clip_ratio clip_eps clip_epsilon clip_param eps_clip epsilon_clip"),
    (
        "hp.entropy_coefficient hp.temperature hp.entropy_temperature",
        "ent_coef ent_coeff entropy_coef entropy_coeff entropy_weight entropy_cost beta_entropy",
    ),
    ("hp.temperature hp.min_temperature hp.learning_rate", "alpha init_temperature init_alpha"),
    ("hp.value_coefficient", "vf_coef vf_coeff value_coef value_coeff vf_loss_coeff value_loss_coef baseline_cost"),
    (
        "hp.max_grad_norm hp.actor_max_grad_norm",
        "grad_clip gradient_clip clip_grad grad_norm_clip gradient_clipping max_gradient_norm clip_grad_norm",
    ),
    ("hp.tau", "polyak target_tau soft_tau tau_soft"),
    (
        "hp.epsilon hp.noise_scale",
        "eps exploration_fraction exploration_eps exploration_final_eps exploration_initial_eps eps_start "
        "eps_end start_e end_e final_epsilon epsilon_greedy epsilon_decay",
    ),
    ("hp.noise_scale", "exploration_noise act_noise action_noise expl_noise noise_std"),
    ("hp.smoothing_scale", "policy_noise target_noise target_policy_noise"),
    ("hp.smoothing_clip", "noise_clip target_noise_clip"),
    ("hp.target_kl hp.max_kl", "kl_target desired_kl kl_threshold delta max_kl"),
    ("hp.priority_exponent", "per_alpha prioritized_replay_alpha priority_alpha"),
    ("hp.importance_exponent", "per_beta beta prioritized_replay_beta importance_beta"),
    ("hp.weight_decay hp.critic_weight_decay", "l2 l2_reg wd"),
    ("config.num_envs", "n_envs num_env n_env envs nenvs num_environments parallel_envs num_actors n_actors nproc"),
    ("config.num_workers config.num_envs", "n_workers num_workers workers"),
    (
        "config.rollout_length config.steps_per_update",
        "n_steps num_steps nsteps horizon unroll_length rollout_steps rollout_fragment_length steps_per_epoch "
        "t_max local_steps_per_epoch",
    ),
    (
        "config.batch_size config.num_minibatches",
        "batch batch_size minibatch_size mini_batch_size minibatch sgd_minibatch_size bs",
    ),
    ("config.num_minibatches", "n_minibatches nminibatches num_mini_batch num_batches"),
    (
        "config.num_epochs",
        "n_epochs update_epochs noptepochs ppo_epochs ppo_epoch opt_epochs num_sgd_iter mini_epochs epochs "
        "train_pi_iters",
    ),
    ("config.critic_epochs config.value_iterations", "train_v_iters vf_iters"),
    (
        "config.buffer_size",
        "buffer replay_size replay_buffer_size memory_size buffer_capacity replay_capacity capacity memory replay",
    ),
    (
        "config.prefill",
        "learning_starts start_steps warmup warmup_steps update_after min_replay_size min_replay_history "
        "random_steps start_timesteps initial_random_steps",
    ),
    ("config.steps_per_update", "train_freq train_frequency update_every update_freq update_period train_every"),
    (
        "config.updates_per_iteration",
        "gradient_steps num_updates utd utd_ratio replay_ratio updates_per_step n_updates",
    ),
    (
        "config.target_update_period config.policy_delay",
        "target_update_interval target_network_frequency target_update_freq target_update "
        "target_network_update_freq target_network_update_period",
    ),
    ("config.policy_delay", "policy_frequency policy_freq actor_update_freq"),
    (
        "config.hidden_sizes",
        "hid hidden hidden_size hidden_dim hidden_layers net_arch layers units mlp fcnet_hiddens hids",
    ),
    ("config.activation", "act activation_fn nonlinearity fcnet_activation"),
    ("config.torso", "network policy net model cnn"),
    ("config.n_step", "multi_step n_steps_return nstep n_steps"),
    ("config.num_atoms config.num_quantiles", "n_atoms atoms"),
    ("config.num_quantiles", "n_quantiles quantiles"),
    ("config.num_critics", "n_critics ensemble_size num_q"),
    ("config.prioritized", "per prioritized_replay use_per priority prioritised"),
    ("config.double_q", "double double_dqn"),
    ("config.dueling", "dueling_dqn duel"),
    ("config.noise", "noisy noisy_nets noisy_net"),
    ("config.actor_rnn", "lstm rnn gru recurrent use_lstm use_rnn"),
    (
        "config.normalize_observation",
        "norm_obs normalize_obs obs_norm normalize_observations normalize normalise norm_input",
    ),
    ("config.normalize_reward", "norm_reward normalize_rewards reward_norm norm_rew"),
    ("config.normalize_advantage", "norm_adv normalize_advantages adv_norm standardize_advantages"),
    ("config.clip_value_loss", "clip_vloss clip_value vf_clip"),
    ("config.adam_epsilon", "adam_eps epsilon_adam optimizer_epsilon"),
    ("config.optimizer", "optim opt optimiser"),
    ("config.frame_stack env.frame_stack", "framestack stack num_stack frame_stacking"),
    ("env.max_episode_steps", "max_ep_len episode_length time_limit max_steps_in_episode horizon max_episode_length"),
    ("env.frame_skip", "frameskip action_repeat skip"),
    ("env.sticky_actions", "sticky repeat_action_probability"),
    (
        "total-steps",
        "total_timesteps timesteps num_timesteps n_timesteps steps num_steps max_steps env_steps frames "
        "num_frames total_frames num_env_steps iterations num_iterations max_iterations training_steps "
        "train_steps",
    ),
    ("num-seeds seeds", "seeds n_seeds num_runs n_runs num_trials trials repeats runs num_seeds"),
    ("seed", "random_seed rng_seed"),
    ("env", "env_id env_name environment gym_id task game env_names envname"),
    (
        "out",
        "output output_dir outdir log_dir logdir save_dir save_path save exp_name exp experiment name "
        "run_name data_dir dir directory tensorboard_log folder path results_dir model_dir",
    ),
    ("wandb", "wandb_project wandb_project_name track project use_wandb"),
    ("num-evaluations", "eval_freq eval_interval evaluation_interval eval_every n_evals eval_period"),
    ("eval-episodes episodes", "n_eval_episodes num_eval_episodes n_episodes num_episodes eval_episodes episodes"),
    ("num-checkpoints", "save_freq save_interval checkpoint_freq checkpoint_interval checkpoint_every save_every"),
    ("num-intervals", "log_interval log_freq log_every log_period logging_interval"),
    ("resume", "load restore load_path checkpoint_path resume_from continue load_model init_from trained_agent"),
    ("preset", "conf_file config_file hyperparameters hyperparams params"),
    ("reward-scale", "reward_scaling scale_reward scale_rewards"),
    ("reward-clip", "clip_reward clip_rewards reward_clipping"),
    ("stop-at-return", "target_return stop_reward reward_threshold target_reward"),
    ("no-progress", "quiet silent no_progress_bar no_bar"),
    ("progress", "progress_bar bar"),
    ("stochastic", "sample explore deterministic det"),
    ("max-steps", "max_ep_len episode_length length l len"),
    ("smooth", "s smoothing window"),
    ("metric", "y value yaxis"),
    ("labels", "legend label names"),
    ("episodes", "n"),
)
"""Options of ours, the preferred one first, and their names in Spinning Up, Stable-Baselines3 and its Zoo, CleanRL,
RLlib, rl_games, Dopamine, purejaxrl and rejax, or by habit."""

NOTES = {
    **dict.fromkeys(
        ("device", "cuda", "gpu", "cpu", "no_cuda", "accelerator"),
        "JAX chooses the device, or the environment variable JAX_PLATFORMS does: cpu, cuda or tpu",
    ),
    **dict.fromkeys(("algo", "algorithm", "alg", "agent"), "the algorithm is a word without dashes: jaxrl train ppo"),
    **dict.fromkeys(("render", "human", "video", "capture_video", "record"), "`jaxrl play DIR` shows a run"),
}
"""What has no option."""
