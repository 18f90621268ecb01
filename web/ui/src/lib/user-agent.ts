/** The browser and system in a user agent's long name; empty when neither is known. */
const BROWSERS: [RegExp, string][] = [
  [/Edg\/(\d+)/, 'Edge'],
  [/OPR\/(\d+)/, 'Opera'],
  [/Firefox\/(\d+)/, 'Firefox'],
  [/(?:Headless)?Chrome\/(\d+)/, 'Chrome'],
  [/Version\/(\d+).*Safari/, 'Safari'],
]
const SYSTEMS: [RegExp, string][] = [
  [/Windows/, 'Windows'],
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Mac OS X/, 'macOS'],
  [/Linux/, 'Linux'],
]

export function browserName(user_agent: string): string {
  const [pattern, name] = BROWSERS.find(([one]) => one.test(user_agent)) ?? []
  const version = pattern?.exec(user_agent)?.[1] ?? ''
  const system = SYSTEMS.find(([one]) => one.test(user_agent))?.[1]
  const browser = name ? `${name} ${version}` : (user_agent.split(' ')[0] ?? '')
  return system && name ? `${browser} · ${system}` : browser.slice(0, 60)
}
