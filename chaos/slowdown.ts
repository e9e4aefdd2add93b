// How starved the machine is: how many times as long work takes as the CPU time that it needs. Every half second a loop uses up a few milliseconds of CPU
// time, and the wall clock says how long that took.

const EVERY_MS = 500
/** More than a process gets at once after it has slept, so that others' turns show. */
const CPU_MS = 20
/** So many measurements make one figure: a single one may have been lucky or unlucky. */
const WINDOW = 4

export class Slowdown {
  private readonly measured: number[] = []
  private readonly timer = setInterval(() => this.measure(), EVERY_MS)

  constructor() {
    this.timer.unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /** Of the worst two seconds since it began; 1 where nothing had to wait. */
  get worst(): number {
    return worstOf(this.measured)
  }

  private measure(): void {
    const beganAt = performance.now()
    const cpu = process.cpuUsage()
    let usedMs = 0
    while (usedMs < CPU_MS) {
      const { user, system } = process.cpuUsage(cpu)
      usedMs = (user + system) / 1000
    }
    this.measured.push((performance.now() - beganAt) / usedMs)
  }
}

/** The highest mean of measurements that follow each other; other threads of the process may have used CPU time too, so that one may be under 1. */
export function worstOf(measured: readonly number[]): number {
  const windows = measured.map((_, i) => measured.slice(i, i + WINDOW)).filter((window, i) => i === 0 || window.length === WINDOW)
  const means = windows.map((window) => window.reduce((sum, each) => sum + each, 0) / window.length)
  return Math.round(Math.max(1, ...means) * 100) / 100
}
