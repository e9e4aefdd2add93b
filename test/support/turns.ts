// Floods of calls that a slower machine bears too. A call of the timers' gives up after two seconds without a connection of the pool, and counts
// them from when it is made; so a flood makes its calls one after the other as the pool has room.

/** Returns what runs its argument as soon as fewer than so many others run. */
export function turns(atOnce: number): <T>(act: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let free = atOnce
  return async (act) => {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await act()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free += 1
    }
  }
}

/** Does something about each, so many at once, and returns what came of it in their order. */
export function inTurns<T, R>(items: readonly T[], act: (item: T, index: number) => Promise<R>, atOnce = 10): Promise<R[]> {
  const inTurn = turns(atOnce)
  return Promise.all(items.map((item, index) => inTurn(() => act(item, index))))
}
