package solana

import "testing"

// The account of an owner's tokens is the one that the published program derives, however
// many hashes are points of the curve before it.
func TestAssociated(t *testing.T) {
	for owner, want := range map[string]string{
		"34sH939k9cyFLUfpgXfhR4SjRF1h6bbcuwAzurFKA7VX": "2U2topiCgZ4FDntLvLqtMiwpeyyyTKA4WV4nSbV8HAov", // 255
		"ErUUQhxai9qvXE2eB3V4PGLTJDNd4KFw9d9AnQFSArKz": "Bp3stPAeAgS2jECNyfDm5rxfAmAa68H9QcYwLfAQpPEs", // 254
		"3wt5SGySRNayXvR7N7izyCHfAfg378jTqfq9gQTSJEYd": "Bi9ZDnanzM6eNTgzPRe8XN26euDQk1x5S8cbKTYKGHBg",
		"2fJs95fL9E87BHh59qSXbhsDfBM5kuukLoXY7a6MtnwM": "G8UFrZT3ghPnR5imNEoJ5DCUgAohXtV7YCf5NmyyF7r8",
		"3QYaf2ums7dBQVpnFe5dpB4yscfMd1CeVpRGJko6ziS6": "2caAK3xQcGXwRhpi17FdYfm6bQjfXHwTPTPW2nXQM8Aa",
		"HE7YPGZipowUSQkZ1yYHQKLf1GtsuL6ggbQu2kGzEev4": "75X64uC5vy75K6xYTuuHeYwsZxzp89MctRtQ1TADJ1TR",
		"HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk": "6pXYguUixhfdydHDMgsvSy3sAWjStL2eEYh4KeYJAUDk", // of the standards' own seed
		"7YBXFKcSKkNaGwcx3bDHKkQqZhRNZE7fUNA2Mc6GBm3N": "Eb9T8j4nnjyeUtFGg8ycGCZJYJFqWPbd9LNf8ZFSJ5Nk",
		"6yjvhgmwkPwULvizdPq2m6TAhiLgdFSmHeoHpVawo3tc": "AQ5CrG4NKxf66CpCqbXHFzQne2GjA98qcR6MCzBYffFa", // 247
	} {
		if got, err := associated(owner, mainMint); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", owner, got, err, want)
		}
	}
}
