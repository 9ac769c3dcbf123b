// Light, dark, or as the system says.
import { effect, signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';

const KEY = 'atoll.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

function stored(): Theme {
	try {
		const text = localStorage.getItem(KEY);
		return text === 'light' || text === 'dark' ? text : 'auto';
	} catch {
		return 'auto';
	}
}

export const theme = signal<Theme>(stored());
const systemDark = signal(system.matches);
system.addEventListener('change', (event) => (systemDark.value = event.matches));

export const isDark = signal(false);

effect(() => {
	isDark.value = theme.value === 'auto' ? systemDark.value : theme.value === 'dark';
	document.documentElement.dataset.theme = isDark.value ? 'dark' : 'light';
});

// Auto, then the one that is not shown, then the other.
export function nextTheme(): void {
	const opposite: Theme = systemDark.value ? 'light' : 'dark';
	const same: Theme = systemDark.value ? 'dark' : 'light';
	theme.value = theme.value === 'auto' ? opposite : theme.value === opposite ? same : 'auto';
	try {
		localStorage.setItem(KEY, theme.value);
	} catch {
		// Then it holds until the page is closed.
	}
}
