// What an authorization server remembers. Made once per issuer, so that it outlives an exchange of keys.

/** A factory of storage adapters, as oidc-provider wants them, which all share one store. */
export function sharedMemory() {
  const store = new Map();
  return (model) => {
    const key = (id) => `${model}:${id}`;
    const where = (member, value) => [...store].find(([place, kept]) => place.startsWith(key('')) && kept[member] === value)?.[1];
    return {
      async upsert(id, payload) { store.set(key(id), payload); },
      async find(id) { return store.get(key(id)); },
      async findByUid(uid) { return where('uid', uid); },
      async findByUserCode(userCode) { return where('userCode', userCode); },
      async consume(id) { store.get(key(id)).consumed = Math.floor(Date.now() / 1000); },
      async destroy(id) { store.delete(key(id)); },
      async revokeByGrantId(grantId) {
        for (const [place, kept] of store) if (kept.grantId === grantId) store.delete(place);
      },
    };
  };
}
