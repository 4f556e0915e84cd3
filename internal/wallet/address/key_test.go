package address

import (
	"context"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
)

// The account of BIP 84's own example gives the addresses that the standard prints, read
// as a zpub and as an xpub, and its test network's account the well-known ones there.
func TestBitcoin(t *testing.T) {
	for _, c := range []struct {
		name, key string
		main      bool
		want      []string
	}{
		{"zpub", "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs", true,
			[]string{"bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g"}},
		{"xpub", "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V", true,
			[]string{"bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g"}},
		{"the sandbox's", DemoBitcoin, false, []string{"tb1q6rz28mcfaxtmd6v789l9rrlrusdprr9pqcpvkl"}},
	} {
		key, err := ParseBitcoin(c.key)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		expectAddresses(t, key, c.want)
		if key.IsMain() != c.main {
			t.Errorf("%s: main network is %t", c.name, key.IsMain())
		}
	}
	zpub, err := ParseBitcoin("zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs")
	if err != nil {
		t.Fatal(err)
	}
	xpub, err := ParseBitcoin("xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V")
	if err != nil {
		t.Fatal(err)
	}
	if zpub.Name() != xpub.Name() {
		t.Errorf("one account has two names: %s and %s", zpub.Name(), xpub.Name())
	}
}

// A chain of one's own writes a key's addresses otherwise, and the key is the same.
func TestOn(t *testing.T) {
	key, err := ParseBitcoin(DemoBitcoin)
	if err != nil {
		t.Fatal(err)
	}
	for network, want := range map[string]string{
		"regtest": "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk",
		"simnet":  "sb1q6rz28mcfaxtmd6v789l9rrlrusdprr9p9l2fkq",
		"signet":  "tb1q6rz28mcfaxtmd6v789l9rrlrusdprr9pqcpvkl",
	} {
		on := key.On(network)
		expectAddresses(t, on, []string{want})
		if on.Name() != key.Name() {
			t.Errorf("on %s it is called %s", network, on.Name())
		}
	}
	expectAddresses(t, key, []string{"tb1q6rz28mcfaxtmd6v789l9rrlrusdprr9pqcpvkl"})
}

// Two published seed phrases give the Ethereum addresses that every wallet shows for them.
func TestEthereum(t *testing.T) {
	for phrase, c := range map[string]struct {
		key  string
		want []string
	}{
		"abandon … about": {DemoEthereum, []string{"0x9858EfFD232B4033E47d90003D41EC34EcaEda94"}},
		"test … junk": {"xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP",
			[]string{"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"}},
	} {
		key, err := ParseEthereum(c.key)
		if err != nil {
			t.Errorf("%s: %v", phrase, err)
			continue
		}
		expectAddresses(t, key, c.want)
	}
}

func expectAddresses(t *testing.T, key *Key, want []string) {
	t.Helper()
	for position, address := range want {
		if got, err := key.Address(context.Background(), uint32(position)); err != nil || got != address {
			t.Errorf("%s %d: %s, %v; want %s", key.Name(), position, got, err, address)
		}
	}
	if _, err := key.Address(context.Background(), 1<<31); err == nil {
		t.Error("a hardened position has an address")
	}
}

// The examples of EIP-55 get their capitals.
func TestEIP55(t *testing.T) {
	for _, want := range []string{
		"0x52908400098527886E0F7030069857D2E4169EE7", "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
		"0xde709f2102306220921060314715629080e2fb77", "0x27b1fdb04752bbc536007a920d24acb045561c26",
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
		"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
	} {
		if got := checksummed(strings.ToLower(want[2:])); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// What is no account's public key is refused without being repeated, a private one above all.
func TestKeyRefused(t *testing.T) {
	const private = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"
	for name, text := range map[string]string{
		"nothing":    "",
		"words":      "abandon abandon about",
		"typing":     strings.Replace(DemoEthereum, "DCo", "DCp", 1),
		"private":    private,
		"master":     "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
		"an address": "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
	} {
		_, first := ParseBitcoin(text)
		_, second := ParseEthereum(text)
		for _, err := range []error{first, second} {
			if fault.CodeOf(err) != fault.InvalidRequest || (text != "" && strings.Contains(err.Error(), text)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := ParseEthereum(DemoBitcoin); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("a key of a test network for Ethereum: %v", err)
	}
	if _, err := ParseBitcoin("ypub6Ww3ibxVfGzLrAH1PNcjyAWenMTbbAosGNB6VvmSEgytSER9azLDWCxoJwW7Ke7icmizBMXrzBx9979FfaHxHcrArf3zbeJJJUZPf663zsP"); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("a key of BIP 49: %v", err)
	}
}
