// Names on the wire are snake_case, in JavaScript camelCase.

/** Renames all members of what the API answered. */
export function fromWire(value) { return renamed(value, (name) => name.replace(/_([a-z0-9])/g, (_, char) => char.toUpperCase())); }

/** Renames all members of what is sent; members that are undefined are left out. */
export function toWire(value) { return renamed(value, (name) => name.replace(/[A-Z]/g, (char) => `_${char.toLowerCase()}`)); }

function renamed(value, rename) {
  if (Array.isArray(value)) return value.map((item) => renamed(item, rename));
  if (value === null || typeof value !== 'object') return value;
  const out = {};
  for (const [name, member] of Object.entries(value)) {
    if (member !== undefined) Object.defineProperty(out, rename(name), { value: renamed(member, rename), enumerable: true, writable: true, configurable: true });
  }
  return out;
}
