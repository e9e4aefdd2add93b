// A duration for a person, in the largest unit that gives a number of two or more.

const UNITS: [ms: number, name: string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
]

export function ageText(milliseconds: number): string {
  for (const [size, name] of UNITS) if (milliseconds >= (name === 's' ? 1 : 2) * size) return `${Math.floor(milliseconds / size)} ${name}`
  return `${Math.max(0, Math.round(milliseconds))} ms`
}
