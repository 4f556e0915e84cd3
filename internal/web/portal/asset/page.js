// Finds the number that a form under pressure asks for, while the visitor types. The
// page works without it: then a wait takes its place.
(() => {
	'use strict';

	const form = document.querySelector('form');
	if (!form) {
		return;
	}
	if (form.dataset.bits) {
		prove();
	}
	sendOnce();

	// prove holds the form back until there is a proof to send with it.
	function prove() {
		const status = form.querySelector('.working');
		let held = false;
		let solved = false;
		form.addEventListener('submit', (event) => {
			if (!solved) {
				event.preventDefault();
				held = true;
				status.textContent = form.dataset.working;
			}
		});
		solve(form.elements.challenge.value, Number(form.dataset.bits), (proof) => {
			solved = true;
			form.elements.proof.value = proof;
			if (held) {
				form.requestSubmit();
			}
		});
	}

	// sendOnce keeps a second press from sending a form again that is under way. One that was
	// stopped is not: the next press sends it. It is the last to see a press.
	function sendOnce() {
		let sent = false;
		let timer;
		const free = () => {
			clearTimeout(timer);
			sent = false;
		};
		form.addEventListener('submit', (event) => {
			if (event.defaultPrevented) {
				return;
			}
			if (sent) {
				event.preventDefault();
				return;
			}
			sent = true;
			timer = setTimeout(free, 30000); // for browsers that do not say; no answer takes longer
		});
		window.addEventListener('pageshow', free);
		window.navigation?.addEventListener('navigateerror', free);
	}

	// solve calls found with the first decimal number such that SHA-256 of
	// "token:number" begins with so many zero bits. It works in short turns.
	function solve(token, bits, found) {
		const hash = hasher(token + ':');
		let next = 0;
		const turn = () => {
			const end = performance.now() + 24;
			while (performance.now() < end) {
				for (let i = 0; i < 256; i++, next++) {
					if (leadingZeros(hash(String(next))) >= bits) {
						found(String(next));
						return;
					}
				}
			}
			setTimeout(turn, 0);
		};
		turn();
	}

	function leadingZeros(words) {
		return words[0] === 0 ? 32 + Math.clz32(words[1]) : Math.clz32(words[0]);
	}

	// hasher returns SHA-256 (FIPS 180-4) of prefix and a short text, both ASCII, as
	// words. The blocks that the prefix fills are hashed once.
	function hasher(prefix) {
		const k = roundConstants();
		const w = new Int32Array(64);
		const start = Int32Array.from(firstWords(8), (x) => root(x, 2));
		const whole = prefix.length - (prefix.length % 64);
		for (let at = 0; at < whole; at += 64) {
			fill(w, prefix.slice(at, at + 64));
			compress(start, w, k);
		}
		const rest = prefix.slice(whole);
		const state = new Int32Array(8);
		return (text) => {
			const tail = rest + text;
			w.fill(0, 0, 16);
			fill(w, tail);
			w[tail.length >> 2] |= 0x80 << (24 - (tail.length & 3) * 8);
			if (tail.length > 55) {
				state.set(start);
				compress(state, w, k);
				w.fill(0, 0, 16);
				w[15] = (whole + tail.length) * 8;
				return compress(state, w, k);
			}
			w[15] = (whole + tail.length) * 8;
			state.set(start);
			return compress(state, w, k);
		};
	}

	function fill(w, text) {
		for (let i = 0; i < text.length; i++) {
			if ((i & 3) === 0) {
				w[i >> 2] = 0;
			}
			w[i >> 2] |= text.charCodeAt(i) << (24 - (i & 3) * 8);
		}
	}

	function compress(state, w, k) {
		for (let t = 16; t < 64; t++) {
			const x = w[t - 15];
			const y = w[t - 2];
			const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
			const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
			w[t] = (w[t - 16] + s0 + w[t - 7] + s1) | 0;
		}
		let [a, b, c, d, e, f, g, h] = state;
		for (let t = 0; t < 64; t++) {
			const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
			const t1 = (h + s1 + ((e & f) ^ (~e & g)) + k[t] + w[t]) | 0;
			const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
			const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
			h = g;
			g = f;
			f = e;
			e = (d + t1) | 0;
			d = c;
			c = b;
			b = a;
			a = (t1 + t2) | 0;
		}
		state[0] = (state[0] + a) | 0;
		state[1] = (state[1] + b) | 0;
		state[2] = (state[2] + c) | 0;
		state[3] = (state[3] + d) | 0;
		state[4] = (state[4] + e) | 0;
		state[5] = (state[5] + f) | 0;
		state[6] = (state[6] + g) | 0;
		state[7] = (state[7] + h) | 0;
		return state;
	}

	function rotate(x, n) {
		return (x >>> n) | (x << (32 - n));
	}

	// The constants are fractions of square and cube roots of the first primes.
	function roundConstants() {
		return Int32Array.from(firstWords(64), (x) => root(x, 3));
	}

	function firstWords(count) {
		const primes = [];
		for (let n = 2; primes.length < count; n++) {
			if (primes.every((p) => n % p !== 0)) {
				primes.push(n);
			}
		}
		return primes;
	}

	// root returns the first 32 bits of the fraction of a root, exactly: doubles are too short.
	function root(n, degree) {
		const scaled = BigInt(n) << BigInt(32 * degree);
		let low = 0n;
		let high = 1n << 40n;
		while (low < high) {
			const middle = (low + high + 1n) >> 1n;
			if (middle ** BigInt(degree) <= scaled) {
				low = middle;
			} else {
				high = middle - 1n;
			}
		}
		return Number(BigInt.asIntN(32, low));
	}
})();
