/** Where to go after a login: only within this site, whatever the address claims. */
export function localPath(wanted: unknown): string {
  // A browser reads `//host` and `/\host` as another site.
  return typeof wanted === 'string' && /^\/(?![/\\])/.test(wanted) ? wanted : '/'
}
