// A node of github.com/anacrolix/dht, which serves requests: JSON documents, one
// a line, on the standard input; replies on the standard output. The requests
// are in tests/interop/README.md.
package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/anacrolix/dht/v2"
	"github.com/anacrolix/dht/v2/bep44"
	"github.com/anacrolix/dht/v2/exts/getput"
	peer_store "github.com/anacrolix/dht/v2/peer-store"
	"github.com/anacrolix/torrent/bencode"
)

const (
	patience = 30 * time.Second // of a request
	interval = 50 * time.Millisecond
)

type request struct {
	ID       int    `json:"id"`
	Do       string `json:"do"`
	InfoHash string `json:"info_hash"`
	Port     int    `json:"port"`
	Target   string `json:"target"`
	Value    string `json:"value"`
	Seed     string `json:"seed"`
	Public   string `json:"public"`
	Salt     string `json:"salt"`
	Seq      int64  `json:"seq"`
	Cas      *int64 `json:"cas"`
}

type result map[string]any

type client struct {
	server *dht.Server
}

// Returns the bytes of hexadecimal digits, which the tests write right.
func unhex(text string) []byte {
	bytes, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return bytes
}

func unhex20(text string) (id [20]byte) {
	copy(id[:], unhex(text))
	return
}

// Returns the string in a bencoded value, in hexadecimal.
func textOf(value bencode.Bytes) (string, error) {
	var text string
	err := bencode.Unmarshal(value, &text)
	return hex.EncodeToString([]byte(text)), err
}

func (c *client) join(ctx context.Context, _ *request) (result, error) {
	for c.server.NumNodes() == 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(interval):
		}
	}
	return result{"nodes": c.server.NumNodes()}, nil
}

func (c *client) announce(_ context.Context, r *request) (result, error) {
	announce, err := c.server.AnnounceTraversal(unhex20(r.InfoHash),
		dht.AnnouncePeer(dht.AnnouncePeerOpts{Port: r.Port}))
	if err != nil {
		return nil, err
	}
	before := c.server.Stats().SuccessfulOutboundAnnouncePeerQueries
	for range announce.Peers {
	}
	<-announce.Finished()
	after := c.server.Stats().SuccessfulOutboundAnnouncePeerQueries
	return result{"stored": after - before}, nil
}

func (c *client) getPeers(_ context.Context, r *request) (result, error) {
	search, err := c.server.AnnounceTraversal(unhex20(r.InfoHash))
	if err != nil {
		return nil, err
	}
	peers := []string{}
	for found := range search.Peers {
		for _, peer := range found.Peers {
			peers = append(peers, peer.String())
		}
	}
	return result{"peers": peers}, nil
}

func (c *client) put(ctx context.Context, item bep44.Put) (result, error) {
	target := item.Target()
	_, err := getput.Put(ctx, target, c.server, item.Salt,
		func(int64) bep44.Put { return item })
	return result{"target": hex.EncodeToString(target[:])}, err
}

func (c *client) get(ctx context.Context, target bep44.Target, salt []byte) (result, error) {
	found, _, err := getput.Get(ctx, target, c.server, nil, salt)
	if err != nil {
		return nil, err
	}
	value, err := textOf(found.V)
	return result{"value": value, "seq": found.Seq}, err
}

func (c *client) putImmutable(ctx context.Context, r *request) (result, error) {
	return c.put(ctx, bep44.Put{V: unhex(r.Value)})
}

func (c *client) getImmutable(ctx context.Context, r *request) (result, error) {
	return c.get(ctx, unhex20(r.Target), nil)
}

func (c *client) putMutable(ctx context.Context, r *request) (result, error) {
	var key [32]byte
	copy(key[:], unhex(r.Public))
	item := bep44.Put{V: unhex(r.Value), K: &key, Salt: unhex(r.Salt), Seq: r.Seq}
	if r.Cas != nil {
		item.Cas = *r.Cas
	}
	item.Sign(ed25519.NewKeyFromSeed(unhex(r.Seed)))
	return c.put(ctx, item)
}

func (c *client) getMutable(ctx context.Context, r *request) (result, error) {
	var key [32]byte
	copy(key[:], unhex(r.Public))
	salt := unhex(r.Salt)
	return c.get(ctx, bep44.MakeMutableTarget(key, salt), salt)
}

func (c *client) serve(r *request) (result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	functions := map[string]func(context.Context, *request) (result, error){
		"join":          c.join,
		"announce":      c.announce,
		"get_peers":     c.getPeers,
		"put_immutable": c.putImmutable,
		"get_immutable": c.getImmutable,
		"put_mutable":   c.putMutable,
		"get_mutable":   c.getMutable,
	}
	function := functions[r.Do]
	if function == nil {
		return nil, errors.New("no such request")
	}
	return function(ctx, r)
}

// Opens a node at `listen` that knows the addresses in `known`. A passive one
// answers no queries.
func open(listen, known string, passive bool) (*client, error) {
	socket, err := net.ListenPacket("udp", listen)
	if err != nil {
		return nil, err
	}
	config := dht.NewDefaultServerConfig()
	config.Conn = socket
	config.Passive = passive
	config.PeerStore = &peer_store.InMemory{}
	config.StartingNodes = func() (starts []dht.Addr, err error) {
		for _, text := range strings.Split(known, ",") {
			address, err := net.ResolveUDPAddr("udp", text)
			if err != nil {
				return nil, err
			}
			starts = append(starts, dht.NewAddr(address))
		}
		return starts, nil
	}
	server, err := dht.NewServer(config)
	if err != nil {
		return nil, err
	}
	go server.TableMaintainer() // joins, too
	return &client{server: server}, nil
}

func main() {
	listen := flag.String("listen", "", "HOST:PORT")
	known := flag.String("known", "", "HOST:PORT,...")
	passive := flag.Bool("passive", false, "answer no queries")
	flag.Parse()
	c, err := open(*listen, *known, *passive)
	if err != nil {
		log.Fatal(err)
	}
	var lock sync.Mutex
	write := func(document any) {
		lock.Lock()
		defer lock.Unlock()
		if err := json.NewEncoder(os.Stdout).Encode(document); err != nil {
			log.Fatal(err)
		}
	}
	write(result{"ready": true})
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		r := new(request)
		if err := json.Unmarshal(input.Bytes(), r); err != nil {
			log.Fatal(err)
		}
		go func() {
			answer, err := c.serve(r)
			if err != nil {
				write(result{"id": r.ID, "error": err.Error()})
				return
			}
			write(result{"id": r.ID, "result": answer})
		}()
	}
}
