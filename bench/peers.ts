// Installs what bench/package.json locks, at the first run and whenever the lock changed.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const INSTALLED = `${HERE}node_modules/.installed-lock.json`

export function installPeers(): void {
  const lock = readFileSync(`${HERE}package-lock.json`, 'utf8')
  if (lock === installedLock()) return
  console.error('bench: installing the peers …')
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: HERE,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  })
  writeFileSync(INSTALLED, lock)
}

function installedLock(): string | undefined {
  try {
    return readFileSync(INSTALLED, 'utf8')
  } catch {
    return undefined
  }
}

/** The versions that are measured, by package. */
export function peerVersions(names: readonly string[]): Record<string, string> {
  const { packages } = JSON.parse(readFileSync(`${HERE}package-lock.json`, 'utf8'))
  return Object.fromEntries(names.map((name) => [name, packages[`node_modules/${name}`]?.version ?? '?']))
}
