// Small pieces that answers are made of.
import { fromJsonSchema } from '@modelcontextprotocol/server';

export const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
export const SILENCE = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA==';

export const STRING = { type: 'string' };

export const text = (words) => ({ type: 'text', text: words });
export const picture = { type: 'image', data: PIXEL, mimeType: 'image/png' };
export const sound = { type: 'audio', data: SILENCE, mimeType: 'audio/wav' };
export const embedded = (uri, words, mimeType = 'text/plain') =>
  ({ type: 'resource', resource: { uri, mimeType, text: words } });
export const content = (...pieces) => ({ content: pieces });

/** The schema of an object with these members. */
export const object = (properties = {}, required = []) => ({ type: 'object', properties, required });
export const input = (properties, required) => fromJsonSchema(object(properties, required));

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
