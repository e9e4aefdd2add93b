// node-cron, loaded where a worker first asks for it: a process without a worker never needs it. CommonJS in both builds, since its ES module
// asks for import.meta.url as soon as it is loaded, which a CommonJS bundle does not have.

type NodeCron = typeof import('node-cron')

export = { nodeCron: (): NodeCron => require('node-cron') }
