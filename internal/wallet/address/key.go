package address

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"golang.org/x/crypto/sha3"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Key is an extended public key of an account (BIP 32), from which the addresses at
// 0/position are made. It is safe for concurrent use.
type Key struct {
	name string
	// branch is the account's branch 0, addresses that are given to others, made when the first
	// is asked for: most commands ask for none, and the curve's tables take longer than they do.
	branch func() (*hdkeychain.ExtendedKey, error)
	encode func(public *hdkeychain.ExtendedKey) (string, error)
}

// The first bytes of extended public keys: BIP 32, and SLIP-132 for BIP 84.
const (
	versionXpub = "0488b21e"
	versionZpub = "04b24746"
	versionTpub = "043587cf"
	versionVpub = "045f1cf6"
)

// accountDepth is how deep an account's key is: m/purpose'/coin'/account'.
const accountDepth = 3

// ParseBitcoin reads the account key m/84'/0'/0' as an xpub or zpub, whose addresses are
// of the main network (bc1q…), or as a tpub or vpub, of a test network (tb1q…; BIP 84). It
// returns invalid_request, for a private key too, and never repeats the key.
func ParseBitcoin(text string) (*Key, error) {
	account, version, err := parseAccount(text)
	if err != nil {
		return nil, err
	}
	name, network := "bip84:main", chaincfg.MainNetParams
	switch version {
	case versionXpub, versionZpub:
	case versionTpub, versionVpub:
		name, network = testName, chaincfg.TestNet3Params
	default:
		return nil, fault.New(fault.InvalidRequest, "want the key of an account of BIP 84: zpub, xpub, vpub or tpub")
	}
	return newKey(name, account, witnessOn(network))
}

// witnessOn returns what makes addresses of BIP 84, as a network writes them.
func witnessOn(network chaincfg.Params) func(*hdkeychain.ExtendedKey) (string, error) {
	return func(public *hdkeychain.ExtendedKey) (string, error) {
		point, err := public.ECPubKey()
		if err != nil {
			return "", err
		}
		encoded, err := address.NewAddressWitnessPubKeyHash(address.Hash160(point.SerializeCompressed()), &network)
		if err != nil {
			return "", err
		}
		return encoded.EncodeAddress(), nil
	}
}

// On returns a key of Bitcoin whose addresses are written as on a chain of one's own, regtest
// (bcrt1q…) or simnet (sb1q…). On every other network they stay as they are. It is the same
// key, by its name too.
func (k *Key) On(network string) *Key {
	on := *k
	switch network {
	case "regtest":
		on.encode = witnessOn(chaincfg.RegressionNetParams)
	case "simnet":
		on.encode = witnessOn(chaincfg.SimNetParams)
	}
	return &on
}

// IsMain reports whether the key's addresses are of the chain whose coins are money.
func (k *Key) IsMain() bool { return !strings.HasPrefix(k.name, testName) }

// testName begins the names of keys of a test network.
const testName = "bip84:test"

// ParseEthereum reads the account key m/44'/60'/0' as an xpub; its addresses have the
// capitals of EIP-55. It returns invalid_request, for a private key too.
func ParseEthereum(text string) (*Key, error) {
	account, version, err := parseAccount(text)
	if err != nil {
		return nil, err
	}
	if version != versionXpub {
		return nil, fault.New(fault.InvalidRequest, "want the key of the account m/44'/60'/0' as an xpub")
	}
	return newKey("bip44:ethereum", account, func(public *hdkeychain.ExtendedKey) (string, error) {
		point, err := public.ECPubKey()
		if err != nil {
			return "", err
		}
		digest := keccak(point.SerializeUncompressed()[1:])
		return checksummed(hex.EncodeToString(digest[12:])), nil
	})
}

func parseAccount(text string) (*hdkeychain.ExtendedKey, string, error) {
	account, err := hdkeychain.NewKeyFromString(text)
	switch {
	case err != nil: // its text could hold the key
		return nil, "", fault.New(fault.InvalidRequest, "it is no extended public key, or there is a typing error in it")
	case account.IsPrivate():
		return nil, "", fault.New(fault.InvalidRequest, "it is a PRIVATE key: whoever has seen it can take everything; move the money, and give the public one")
	case account.Depth() != accountDepth:
		return nil, "", fault.New(fault.InvalidRequest, "it is the key of level %d, not that of an account, which is of level %d", account.Depth(), accountDepth)
	}
	return account, hex.EncodeToString(account.Version()), nil
}

func newKey(kind string, account *hdkeychain.ExtendedKey, encode func(*hdkeychain.ExtendedKey) (string, error)) (*Key, error) {
	point, err := account.ECPubKey()
	if err != nil {
		return nil, fault.New(fault.InvalidRequest, "the key is no point of its curve")
	}
	// The same account has one name, however it was written.
	sum := sha256.Sum256(append(point.SerializeCompressed(), account.ChainCode()...))
	branch := sync.OnceValues(func() (*hdkeychain.ExtendedKey, error) { return account.Derive(0) })
	return &Key{name: kind + ":" + hex.EncodeToString(sum[:8]), branch: branch, encode: encode}, nil
}

// Name implements Maker.
func (k *Key) Name() string { return k.name }

// Address implements Maker. One position in 2^127 has no address and is an error for ever.
func (k *Key) Address(_ context.Context, position uint32) (string, error) {
	branch, err := k.branch()
	if err != nil {
		return "", fmt.Errorf("derive the branch of addresses: %w", err)
	}
	child, err := branch.Derive(position)
	if err != nil {
		return "", fmt.Errorf("derive address %d: %w", position, err)
	}
	return k.encode(child)
}

// checksummed gives 40 hexadecimal digits the capitals that prove them (EIP-55).
func checksummed(digits string) string {
	proof := keccak([]byte(digits))
	text := []byte(digits)
	for i, digit := range text {
		nibble := proof[i/2] >> 4
		if i%2 == 1 {
			nibble = proof[i/2] & 15
		}
		if digit >= 'a' && nibble >= 8 {
			text[i] = digit - 'a' + 'A'
		}
	}
	return "0x" + string(text)
}

func keccak(data []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(data)
	return h.Sum(nil)
}

// Demo is Solana's maker for the sandbox, where nobody needs to own an address: a hash of
// its position.
type Demo struct{}

// Name implements Maker.
func (Demo) Name() string { return "demo:solana" }

// Address implements Maker.
func (Demo) Address(_ context.Context, position uint32) (string, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "scrip sandbox: an address that nobody owns, number %d", position))
	return base58.Encode(sum[:]), nil
}

// The accounts of the sandbox. Their seed phrase is the one of the standards' own examples,
// eleven times "abandon" and then "about": the whole world can spend what is paid to them.
const (
	// DemoBitcoin is m/84'/1'/0'.
	DemoBitcoin = "vpub5Y6cjg78GGuNLsaPhmYsiw4gYX3HoQiRBiSwDaBXKUafCt9bNwWQiitDk5VZ5BVxYnQdwoTyXSs2JHRPAgjAvtbBrf8ZhDYe2jWAqvZVnsc"
	// DemoEthereum is m/44'/60'/0'.
	DemoEthereum = "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt"
)
