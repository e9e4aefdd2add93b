// Prometheus and promtool as the system's packages have them, for what they accept and scrape. The project's own script fetches them; nothing is installed as
// a service.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The folder with both programs. */
export async function prometheusFolder(): Promise<string> {
  const { ensurePrometheus } = await import(new URL('../../scripts/system.mjs', import.meta.url).href)
  return ensurePrometheus()
}

/** What promtool prints. @throws with that where it finds something wrong */
export async function promtool(args: string[], input = ''): Promise<string> {
  const running = run(join(await prometheusFolder(), 'promtool'), args)
  running.child.stdin?.end(input)
  try {
    const { stdout, stderr } = await running
    return stdout + stderr
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`promtool ${args.join(' ')}:\n${stdout}${stderr}`)
  }
}
