// Where the choices at the caret come from: the language, and names asked from the server.
import * as api from './api';
import { LANGUAGE, RANGES, placeAt, rank, type Choice, type Place } from './promql';
import { EXAMPLES_HUB, EXAMPLES_MONITOR, isHub, remembered } from './state';

const CHOICES_MAX = 12;
const KEPT_MS = 60_000;

const kept = new Map<string, { at: number; list: Promise<string[]> }>();

// Asked once a minute at most; a server that does not answer gives no choices.
function keep(key: string, ask: () => Promise<string[]>): Promise<string[]> {
	const known = kept.get(key);
	if (known && Date.now() - known.at < KEPT_MS) {
		return known.list;
	}
	const list = ask().catch(() => {
		kept.delete(key);
		return [];
	});
	kept.set(key, { at: Date.now(), list });
	return list;
}

function named(list: string[], kind: Choice['kind']): Choice[] {
	return list.map((text) => ({ text, kind }));
}

async function choicesFor(place: Place): Promise<Choice[]> {
	switch (place.kind) {
		case 'duration':
			return RANGES;
		case 'label':
			return named(
				(await keep('l:' + place.metric, () => api.labelNames(place.metric))).filter((l) => l !== '__name__'),
				'label',
			);
		case 'value':
			return named(
				await keep(`v:${place.label}:${place.metric}`, () => api.labelValues(place.label, place.metric)),
				'value',
			);
		case 'expression':
			return [...named(await keep('metrics', () => api.labelValues('__name__')), 'metric'), ...LANGUAGE];
	}
}

export interface Offer {
	from: number;
	to: number;
	choices: Choice[];
}

// For an empty editor: what was asked before, then examples.
function starters(): Choice[] {
	const recent = remembered().slice(0, 6).map((text): Choice => ({ text, kind: 'recent' }));
	const examples = (isHub.value ? EXAMPLES_HUB : EXAMPLES_MONITOR)
		.filter(([, text]) => !recent.some((one) => one.text === text))
		.map(([note, text]): Choice => ({ text, kind: 'example', note }));
	return [...recent, ...examples];
}

export async function offerAt(text: string, caret: number): Promise<Offer | null> {
	if (!text.trim()) {
		return { from: 0, to: text.length, choices: starters() };
	}
	const place = placeAt(text, caret);
	if (!place || (place.kind === 'expression' && !place.typed)) {
		return null;
	}
	const choices = rank(await choicesFor(place), place.typed, CHOICES_MAX);
	return choices.length ? { from: place.from, to: caret, choices } : null;
}

// What stands behind a choice once it is taken: "(" after a function.
export function suffixOf(choice: Choice): string {
	return choice.kind === 'function' || choice.kind === 'aggregation' ? '(' : '';
}
