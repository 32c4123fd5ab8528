// Events of a stream, one by one, as they stand there.

/** The events of an event stream's body: `{ id, event, data }`, comments left out. */
export async function* events(body) {
  let text = '';
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    text += piece.replaceAll('\r\n', '\n');
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event = parse(text.slice(0, end));
      text = text.slice(end + 2);
      if (Object.keys(event).length > 0) yield event;
    }
  }
}

function parse(block) {
  const fields = block.split('\n').map((line) => /^(id|event|data|retry): ?(.*)$/.exec(line)).filter(Boolean);
  return Object.fromEntries(fields.map(([, name, value]) => [name, value]));
}
