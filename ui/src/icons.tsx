// The few pictures, drawn with the text's colour.

const PATHS = {
	alert: 'M12 3 2 20h20L12 3Zm0 6v5m0 3v.01',
	play: 'M7 4.5v15l12-7.5-12-7.5Z',
	left: 'm15 5-7 7 7 7',
	right: 'm9 5 7 7-7 7',
	down: 'm6 9 6 6 6-6',
	refresh: 'M20 11a8 8 0 1 0-1.5 6M20 4v7h-7',
	link: 'M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1m2 4a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1',
	zoomOut: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14Zm5 12 5 5M8 11h6',
	auto: 'M12 3a9 9 0 1 0 0 18V3Zm0 0a9 9 0 0 1 0 18',
	light: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Zm0-6v2m0 16v2M2 12h2m16 0h2M5 5l1.5 1.5m11 11L19 19M5 19l1.5-1.5m11-11L19 5',
	dark: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z',
	check: 'm5 12 5 5 9-10',
};

export function Icon({ name }: { name: keyof typeof PATHS }) {
	return (
		<svg class={`icon icon-${name}`} viewBox="0 0 24 24" aria-hidden="true">
			<path d={PATHS[name]} />
		</svg>
	);
}

// The ring of islands.
export function Logo() {
	return (
		<svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
			<circle class="logo-ring" cx="16" cy="16" r="11" />
			<circle class="logo-dot" cx="16" cy="16" r="3" />
		</svg>
	);
}
