// The files of example/deploy, each as far as it can be tried here: the worker and its probes run; systemd, pm2 and a YAML parser read what is theirs.
// Docker and Kubernetes themselves are not here: their commands and probes are run as they are written.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CORE_SCHEMA, load, loadAll, mergeTag } from 'js-yaml'
import { root } from '../support/book.js'
import { filesOf, openProjectOf } from '../support/book-project.js'
import { openDatabase } from '../support/database.js'
import { freePort } from '../support/free-port.js'
import { dieWithTests, enter } from '../support/opened.js'
import { openRedis } from '../support/redis.js'
import { RedisServer } from '../support/redis-server.js'
import { inTime, waitUntil } from '../support/waiting.js'

const run = promisify(execFile)
const pathOf = (path: string) => join(root, 'example/deploy', path)
const textOf = (path: string) => readFileSync(pathOf(path), 'utf8')

/** The longest that a process takes to end by itself, in seconds: see worker.js. */
const ENDS_WITHIN_S = 14

/** When those kill it who would do so sooner unless they are told: see docs/deployment.md. */
const KILLED_AFTER_S = 20

interface Probe {
  httpGet: { path: string; port: string }
}
interface Container {
  command: string[]
  ports: { name: string; containerPort: number }[]
  livenessProbe: Probe
  startupProbe?: Probe
  readinessProbe?: Probe
  securityContext: object
  volumeMounts: { name: string; mountPath: string }[]
}
interface Deployment {
  kind: string
  spec: {
    strategy: { rollingUpdate: { maxUnavailable: number } }
    template: {
      spec: {
        terminationGracePeriodSeconds: number
        securityContext: object
        containers: [Container]
        volumes: { name: string; emptyDir: object }[]
      }
    }
  }
}
interface Service {
  command?: string[]
  healthcheck?: { test: string[] }
  stop_grace_period?: string
  depends_on?: string[]
  read_only?: boolean
  tmpfs?: string[]
  volumes?: string[]
}

const deploymentOf = (part: string) =>
  (loadAll(textOf(`kubernetes/${part}.yaml`)) as Deployment[]).find(({ kind }) => kind === 'Deployment') as Deployment
const containerOf = (part: string) => deploymentOf(part).spec.template.spec.containers[0]
const services = (load(textOf('docker/compose.yaml'), { schema: CORE_SCHEMA.withTags(mergeTag) }) as { services: Record<string, Service> })
  .services

describe('the files for deployment', () => {
  it('have a worker that starts, answers the probes of Kubernetes and Docker, and ends by SIGTERM', async () => {
    const [database, redis, port] = [await openDatabase(), await openRedis(), await freePort()]
    const { directory, close } = await openProjectOf({ ...filesOf('docs/getting-started.md'), 'worker.js': textOf('worker.js') })
    const url = new URL(database.url)
    url.searchParams.set('options', `-c search_path=${database.schema}`)
    const env = {
      ...process.env,
      ...{ DATABASE_URL: url.href, REDIS_URL: `${redis.url}?keyPrefix=${redis.prefix}`, HEALTH_PORT: String(port) },
    }
    const tsx = join(root, 'node_modules/tsx/dist/esm/index.mjs')
    const { command } = containerOf('worker')
    assert.deepEqual([command, services.worker?.command], [['node', 'worker.js'], command])
    const child = dieWithTests(spawn(process.execPath, ['--import', tsx, 'worker.js'], { cwd: directory, env, stdio: 'ignore' }))
    const strikeOut = enter(`process ${child.pid} of example/deploy`, async () => child.kill('SIGKILL'))
    const ended = once(child, 'exit').finally(strikeOut)
    const { livenessProbe, startupProbe } = containerOf('worker')
    for (const { httpGet } of [startupProbe as Probe, livenessProbe])
      await waitUntil(async () => (await fetch(`http://127.0.0.1:${port}${httpGet.path}`)).status === 200, { within: 30_000 })
    const [kind, program, ...args] = services.worker?.healthcheck?.test ?? []
    assert.deepEqual([kind, program], ['CMD', 'node'])
    await run(process.execPath, args, { env })
    child.kill('SIGTERM')
    assert.deepEqual(await inTime(ended, ENDS_WITHIN_S * 1_000, 'its end'), [0, null])
    await assert.rejects(run(process.execPath, args, { env }), 'the probe fails where nobody answers')
    await close()
    await Promise.all([database.close(), redis.close()])
  })

  it('restart nothing for /ready, and kill nothing before it has ended', () => {
    for (const part of ['web', 'worker']) {
      const { spec } = deploymentOf(part).spec.template
      const { livenessProbe, startupProbe, readinessProbe, ports, securityContext } = containerOf(part)
      for (const probe of [livenessProbe, startupProbe, readinessProbe]) {
        if (!probe) continue
        assert.match(probe.httpGet.path, /\/live$/)
        assert.ok(ports.some(({ name }) => name === probe.httpGet.port))
      }
      assert.ok(spec.terminationGracePeriodSeconds > ENDS_WITHIN_S)
      assert.equal(deploymentOf(part).spec.strategy.rollingUpdate.maxUnavailable, 0)
      for (const [name, value] of Object.entries({ runAsNonRoot: true, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false }))
        assert.equal(({ ...spec.securityContext, ...securityContext } as Record<string, unknown>)[name], value)
      assert.equal(services[part]?.stop_grace_period, `${KILLED_AFTER_S}s`)
      assert.equal(services[part]?.read_only, true)
      assert.match(textOf(`systemd/shop-${part}.service`), new RegExp(`^TimeoutStopSec=${KILLED_AFTER_S}$`, 'm'))
    }
    assert.doesNotMatch(textOf('docker/compose.yaml') + textOf('kubernetes/web.yaml').replace(/^ *#.*$/gm, ''), /\/ready/)
    for (const name of services.web?.depends_on ?? []) assert.ok(services[name])
  })

  it('give each container with a read-only root a folder for the file of worker --check', () => {
    for (const part of ['web', 'worker']) {
      assert.deepEqual(services[part]?.tmpfs, ['/tmp'])
      const { volumes } = deploymentOf(part).spec.template.spec
      const [mount] = containerOf(part).volumeMounts
      assert.deepEqual([mount?.mountPath, mount?.name], ['/tmp', volumes[0]?.name])
    }
  })

  it('have units that systemd knows, and that let the processes do little else', async function () {
    const isHere = await run('systemd-analyze', ['--version']).catch(() => undefined)
    if (!isHere) return this.skip()
    const directory = await mkdtemp(join(tmpdir(), 'order-timers-units-'))
    for (const part of ['web', 'worker']) {
      const unit = join(directory, `shop-${part}.service`)
      await writeFile(unit, textOf(`systemd/shop-${part}.service`).replace('/usr/bin/node', process.execPath))
      const verified = await run('systemd-analyze', ['verify', unit])
      assert.equal(verified.stderr, '')
      const [, exposure] =
        /exposure level for \S+: (\d+\.\d)/.exec((await run('systemd-analyze', ['security', '--offline=true', unit])).stdout) ?? []
      assert.ok(Number(exposure) < 2, `exposure ${exposure}`)
    }
    await rm(directory, { recursive: true })
  })

  it('have a file for pm2 that waits until a process has ended', () => {
    const { apps } = createRequire(import.meta.url)(pathOf('pm2/ecosystem.config.cjs')) as {
      apps: { script: string; kill_timeout: number }[]
    }
    assert.deepEqual(
      apps.map(({ script }) => script),
      ['app.js', 'worker.js'],
    )
    for (const { kill_timeout } of apps) assert.equal(kill_timeout, KILLED_AFTER_S * 1_000)
  })

  it('have an image that runs without a privileged user, and passes signals on to node', () => {
    const lines = textOf('docker/Dockerfile').split('\n')
    assert.ok(lines.indexOf('USER node') > lines.findLastIndex((line) => line.startsWith('COPY')))
    const [, command] = /^CMD (\[.*\])$/m.exec(textOf('docker/Dockerfile')) ?? []
    assert.deepEqual(JSON.parse(command as string), containerOf('web').command)
    const mounted = String(services.redis?.volumes?.[0]).split(':')[0] ?? ''
    assert.ok(existsSync(join(pathOf('docker'), mounted, 'redis.conf')))
  })

  it('have a configuration with which Redis starts, and lets only these users in', async () => {
    const server = await RedisServer.prepare()
    await writeFile(join(server.directory, 'users.acl'), textOf('redis/users.acl'))
    const conf = join(server.directory, 'redis.conf')
    await writeFile(conf, textOf('redis/redis.conf').replace('/etc/redis/', `${server.directory}/`))
    await server.restart(['--include', conf, '--appendonly', 'yes'])
    const ask = async (user: string) => {
      const { redis, timers } = await timersOn(`redis://${user}127.0.0.1:${server.port}`)
      const answer = await redis().catch((error: Error) => error.message)
      await timers.close()
      return answer
    }
    assert.match(String(await ask('')), /NOAUTH/)
    assert.equal(await ask('shop-web:WEB_SECRET@'), 'ok')
    await server.stop()
  })
})

async function timersOn(url: string) {
  const { orderTimers } = await import('../../lib/index.js')
  const timers = orderTimers({ logger: false, redis: url, rules: { order_other: async () => {} } })
  return { timers, redis: () => timers.check().then(() => 'ok') }
}
