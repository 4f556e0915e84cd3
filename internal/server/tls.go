package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/scripcards/scrip/internal/api/wire"
	portalpage "github.com/scripcards/scrip/internal/web/portal"
)

// TLS is how TLS is ended here, with certificates that are had when a visitor first comes.
type TLS struct {
	// Listen is HOST:PORT; empty: TLS is somebody else's.
	Listen string
	// Directory is the ACME directory (RFC 8555); empty: Let's Encrypt.
	Directory string
	// Email is where the authority writes to; may be empty.
	Email string
	// Roots is a PEM file of the roots that the directory's own certificate needs; empty: the system's.
	Roots string
	// Ready is told the address that was opened; it may be nil.
	Ready func(address string)
}

// certificateFolder is where keys and certificates are, within the data directory.
const certificateFolder = "certificates"

// certificates gets, keeps and renews certificates for the names that decide allows.
type certificates struct {
	data   string
	logger *slog.Logger
	decide func(ctx context.Context, host string) error
	cache  *certmagic.Cache
	magic  *certmagic.Config
}

// open begins with what is stored. listening is where TLS is ended: the authority's
// questions arrive there too (RFC 8737).
func (c *certificates) open(t TLS, listening net.Addr) error {
	roots, err := readRoots(t.Roots)
	if err != nil {
		return err
	}
	host, port := "", 0
	if at, ok := listening.(*net.TCPAddr); ok {
		host, port = at.IP.String(), at.Port
	}
	silent := zap.NewNop() // what matters comes as an event
	c.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return c.magic, nil },
		Capacity:         maxCertificates, Logger: silent,
	})
	c.magic = certmagic.New(c.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: filepath.Join(c.data, certificateFolder)}, Logger: silent, OnEvent: c.note,
		OnDemand: &certmagic.OnDemandConfig{DecisionFunc: c.decide},
	})
	directory := t.Directory
	if directory == "" {
		directory = certmagic.LetsEncryptProductionCA
	}
	c.magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(c.magic, certmagic.ACMEIssuer{
		CA: directory, Email: t.Email, Agreed: true, TrustedRoots: roots, Logger: silent,
		DisableHTTPChallenge: true, ListenHost: host, AltTLSALPNPort: port,
	})}
	return nil
}

// firstHandshake is how long the first visitor of a name may wait for its certificate.
const firstHandshake = 25 * time.Second

// maxCertificates bounds those in memory; others are read again.
const maxCertificates = 10_000

func (c *certificates) close() {
	if c.cache != nil {
		c.cache.Stop()
	}
}

// config answers handshakes. Certificates are there once open was called.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1", "acme-tls/1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.magic.GetCertificate(hello)
		},
	}
}

// note writes into the log what became of a certificate.
func (c *certificates) note(ctx context.Context, event string, data map[string]any) error {
	switch event {
	case "cert_obtained":
		c.logger.InfoContext(ctx, "certificate obtained", "host", data["identifier"], "renewal", data["renewal"])
	case "cert_failed":
		c.logger.ErrorContext(ctx, "certificate refused", "host", data["identifier"], "renewal", data["renewal"], "error", data["error"])
	}
	return nil
}

// readRoots reads a PEM file; nil stands for the system's roots.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("roots of the ACME directory: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("roots of the ACME directory: no certificate in %s", file)
	}
	return pool, nil
}

// listenTLS opens the address where TLS is ended, when there is one. What it returns
// serves until its context ends, and then gives everything back.
func (a *App) listenTLS(ctx context.Context, h HTTP, pages pages) (func(context.Context) error, error) {
	if h.TLS.Listen == "" {
		return func(context.Context) error { return nil }, nil
	}
	certs := &certificates{data: a.data, logger: a.Logger, decide: pages.site.Decide}
	server := wire.NewServer(wire.ServerOptions{Address: h.TLS.Listen, Handler: pages.site.Only(outside(pages.all)), TLS: certs.config(), Logger: a.Logger,
		MaxConnections: h.MaxConnections, Proxies: h.Proxies, ReadHeader: firstHandshake, Read: h.Read, Write: h.Write, Idle: h.Idle, Grace: h.Shutdown})
	opened, err := server.Listen(ctx)
	if err != nil {
		return nil, err
	}
	if err := certs.open(h.TLS, opened); err != nil {
		return nil, err
	}
	a.Logger.InfoContext(ctx, "serving TLS", "address", opened.String())
	if h.TLS.Ready != nil {
		h.TLS.Ready(opened.String())
	}
	return func(ctx context.Context) error {
		defer certs.close()
		return server.Serve(ctx)
	}, nil
}

// outside keeps the operator API and the figures off an address that all the world reaches,
// also through what passes connections on and has them come from this machine.
func outside(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if inside(r.URL.Path) {
			unknownPath(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// pages is everything that is served, and of it the portals' site.
type pages struct {
	all  http.Handler
	site *portalpage.Site
}
