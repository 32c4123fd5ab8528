// What was sent on each stream of one session, for clients that come back.

export class Events {
  #sent = [];

  async storeEvent(stream, message) {
    this.#sent.push({ stream, message });
    return String(this.#sent.length);
  }

  async getStreamIdForEventId(event) {
    return this.#sent[Number(event) - 1]?.stream;
  }

  async replayEventsAfter(event, { send }) {
    const { stream } = this.#sent[Number(event) - 1];
    for (let number = Number(event); number < this.#sent.length; number += 1) {
      const sent = this.#sent[number];
      // The first event of a stream carries no message: it only gives the client an id to come back with.
      if (sent.stream === stream && 'jsonrpc' in sent.message) await send(String(number + 1), sent.message);
    }
    return stream;
  }
}
