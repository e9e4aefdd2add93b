// What bench/package.json locks: installed at the first run and whenever the lock changed, and which versions those are.
import { readFileSync } from 'node:fs'

export async function installPeers(): Promise<void> {
  // The project's own set-up, plain JavaScript without types.
  const { ensurePackages } = (await import(new URL('../scripts/packages.mjs', import.meta.url).href)) as {
    ensurePackages(folder: string): Promise<void>
  }
  await ensurePackages('bench')
}

/** The versions that are measured, by package. */
export function peerVersions(names: readonly string[]): Record<string, string> {
  const { packages } = JSON.parse(readFileSync(new URL('package-lock.json', import.meta.url), 'utf8'))
  return Object.fromEntries(names.map((name) => [name, packages[`node_modules/${name}`]?.version ?? '?']))
}
