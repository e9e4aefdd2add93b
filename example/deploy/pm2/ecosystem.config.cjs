// pm2 start ecosystem.config.cjs. pm2 sends SIGINT, and kills after 1.6 s unless kill_timeout says more.
const common = { cwd: '/srv/shop', kill_timeout: 20_000, exp_backoff_restart_delay: 100, max_memory_restart: '400M' }

module.exports = {
  apps: [
    { ...common, name: 'shop-web', script: 'app.js', exec_mode: 'cluster', instances: 2, node_args: '--env-file=/etc/shop/web.env' },
    { ...common, name: 'shop-worker', script: 'worker.js', exec_mode: 'fork', instances: 1, node_args: '--env-file=/etc/shop/worker.env' },
  ],
}
