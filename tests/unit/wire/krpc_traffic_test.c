/* Datagrams as libtorrent 2.0.8, aria2 1.36.0 and transmission 3.00 send them.
 * Checks that they are read with all their extra keys. */
#include "decoding.h"
#include "unit.h"

/* The initialiser of a slice. */
#define DATAGRAM(literal) \
  { (const uint8_t *)(literal), sizeof(literal) - 1 }

struct sample {
  const char *name;
  struct kad_slice datagram;
  enum kad_message_kind kind;
  enum kad_method_id method;
  bool has_target;
  bool want6;
  bool read_only;
  bool observed;
  uint16_t port;
  int code;
  size_t contacts;
  size_t records;
  size_t token;       /* bytes */
  size_t transaction; /* bytes */
  size_t version;     /* bytes */
};

static const struct sample samples[] = {
    {
        .name = "libtorrent-get_peers",
        .datagram = DATAGRAM(
            "d1:ad2:bsi1e2:id20:\225\345\\)\212qa`\252#"
            "\252\236\247G\302\250\353+"
            "\237\0129:info_hash20:\225\345\\)\212qa`\252#\252\2361B\277}"
            "R\205\316"
            "Re1:q9:get_peers1:t2:\002\1771:v4:LT\002\0101:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_GET_PEERS,
        .has_target = true,
        .transaction = 2,
        .version = 4,
    },
    {
        .name = "libtorrent-pong",
        .datagram = DATAGRAM(
            "d2:ip6:\177\000\000\001\033Y1:rd2:id20:\225\345\\)\212qa`\252#\252"
            "\236\247G\302\250\353+\237\0121:pi7001ee1:t4:n\261\010\3531:v4:"
            "LT\002"
            "\0101:y1:re"),
        .kind = KAD_MESSAGE_REPLY,
        .observed = true,
        .transaction = 4,
        .version = 4,
    },
    {
        .name = "aria2-ping",
        .datagram = DATAGRAM("d1:ad2:id20:s)uLd\346\314z-"
                             "\320\014\360\306\312\316\223\277\261L\271e"
                             "1:q4:ping1:t4:Dcg\0161:v4:A2\000\0031:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_PING,
        .transaction = 4,
        .version = 4,
    },
    {
        .name = "aria2-pong",
        .datagram = DATAGRAM("d1:rd2:id20:s)uLd\346\314z-"
                             "\320\014\360\306\312\316\223\277\261L\271e"
                             "1:t4:\3542\177e1:v4:A2\000\0031:y1:re"),
        .kind = KAD_MESSAGE_REPLY,
        .transaction = 4,
        .version = 4,
    },
    {
        .name = "aria2-get_peers",
        .datagram =
            DATAGRAM("d1:ad2:id20:s)uLd\346\314z-"
                     "\320\014\360\306\312\316\223\277\261L\2719"
                     ":info_hash20:aaaaaaaaaaaaaaaaaaaae1:q9:get_peers1:"
                     "t4:\2561\25511:v4:A"
                     "2\000\0031:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_GET_PEERS,
        .has_target = true,
        .transaction = 4,
        .version = 4,
    },
    {
        .name = "aria2-announce_peer",
        .datagram = DATAGRAM(
            "d1:ad2:id20:s)uLd\346\314z-"
            "\320\014\360\306\312\316\223\277\261L\2719"
            ":info_hash20:aaaaaaaaaaaaaaaaaaaa4:porti7202e5:token8:K\204\261["
            "\377n"
            "\345ye1:q13:announce_peer1:t4:8\371\030m1:v4:A2\000\0031:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_ANNOUNCE_PEER,
        .has_target = true,
        .token = 8,
        .port = 7202,
        .transaction = 4,
        .version = 4,
    },
    {
        .name = "transmission-ping",
        .datagram = DATAGRAM("d1:ad2:id20:L\016\373-\355\276@"
                             "bq4\250\362B\257\274\004A\323\372\200e"
                             "1:q4:ping1:t4:pn\000\0001:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_PING,
        .transaction = 4,
        .version = 0,
    },
    {
        .name = "transmission-pong",
        .datagram = DATAGRAM("d1:rd2:id20:L\016\373-\355\276@"
                             "bq4\250\362B\257\274\004A\323\372\200e"
                             "1:t4:\004\033\354\3101:y1:re"),
        .kind = KAD_MESSAGE_REPLY,
        .transaction = 4,
        .version = 0,
    },
    {
        .name = "transmission-find_node",
        .datagram = DATAGRAM("d1:ad2:id20:L\016\373-\355\276@"
                             "bq4\250\362B\257\274\004A\323\372\2006"
                             ":target20:L\016\373-\355\276@"
                             "bq4\250\362B\257\274\004A\323\372we1:q9:"
                             "find_node1:t4:fn\000\0001:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_FIND_NODE,
        .has_target = true,
        .transaction = 4,
        .version = 0,
    },
    {
        .name = "libtorrent-get_peers-want",
        .datagram =
            DATAGRAM("d1:ad2:bsi1e2:id20:"
                     "u\351\264\034\274l\271X\333j\007p\242\365\267\205"
                     "\321J\023\2619:info_hash20:"
                     "u\351\264\034\274l\271X\333j\007p\237\306"
                     "\333\374Q\311\273\3704:wantl2:n6ee1:q9:get_peers1:"
                     "t2:\243\3001:v4:LT"
                     "\002\0101:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_GET_PEERS,
        .has_target = true,
        .want6 = true,
        .transaction = 2,
        .version = 4,
    },
    {
        .name = "libtorrent-reply-nodes-nodes6",
        .datagram =
            DATAGRAM("d2:ip6:\012\000\000\001\033Y1:rd2:id20:"
                     "\355\"\257\0239@\374\344\010"
                     "\214!\021\237\230\362H\255wZ\3145:nodes0:6:nodes60:"
                     "1:pi7001ee1:t4:Tfi"
                     "n1:v4:LT\002\0101:y1:re"),
        .kind = KAD_MESSAGE_REPLY,
        .observed = true,
        .transaction = 4,
        .version = 4,
    },
    {
        .name = "libtorrent-reply-nodes-token",
        .datagram =
            DATAGRAM("d2:ip6:\012\000\000\001\033Y1:rd2:id20:"
                     "\355\"\257\0239@\374\344\010"
                     "\214!\021\237\230\362H\255wZ\3145:nodes0:1:pi7001e5:"
                     "token4:R\205$Ie1:"
                     "t4:Tget1:v4:LT\002\0101:y1:re"),
        .kind = KAD_MESSAGE_REPLY,
        .token = 4,
        .observed = true,
        .transaction = 4,
        .version = 4,
    },
    {
        .name = "libtorrent-error-with-r",
        .datagram = DATAGRAM("d1:eli203e15:unknown "
                             "messagee2:ip6:\012\000\000\001\033Y1:rd2:id20:"
                             "\355\"\257\0239@\374\344\010\214!"
                             "\021\237\230\362H\255wZ\3141:pi7001e"
                             "e1:t4:Tfro1:v4:LT\002\0101:y1:ee"),
        .kind = KAD_MESSAGE_ERROR,
        .code = 203,
        .observed = true,
        .transaction = 4,
        .version = 4,
    },
    {
        .name = "libtorrent-error-with-r-token",
        .datagram = DATAGRAM("d1:eli203e13:invalid "
                             "tokene2:ip6:\012\000\000\001\033Y1:rd2:id20:\355"
                             "\"\257\0239@\374\344\010\214!"
                             "\021\237\230\362H\255wZ\3141:pi7001ee1:t"
                             "4:Tann1:v4:LT\002\0101:y1:ee"),
        .kind = KAD_MESSAGE_ERROR,
        .code = 203,
        .observed = true,
        .transaction = 4,
        .version = 4,
    },
    {
        .name = "libtorrent-get_peers-read-only",
        .datagram =
            DATAGRAM("d1:ad2:bsi1e2:id20:"
                     "6\300\017\003\005\300\253\261\036\010\230\264\224"
                     "\034\022\267\010\307\222\\9:info_hash20:"
                     "6\300\017\003\005\300\253\261"
                     "\036\010\230\264\273\372+\214\022\032\214\246e1:q9:"
                     "get_peers2:roi1e1:"
                     "t2:QO1:v4:LT\002\0101:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_GET_PEERS,
        .has_target = true,
        .read_only = true,
        .transaction = 2,
        .version = 4,
    },
    {
        .name = "libtorrent-announce_peer-want",
        .datagram = DATAGRAM(
            "d1:ad2:id20:u\351\264\034\274l\271X\333j\007p\242\365\267\205\321J"
            "\023\26112:implied_porti1e9:info_hash20:xxxxxxxxxxxxxxxxxxxx4:"
            "porti46"
            "053e4:seedi0e5:token4:tokn4:wantl2:n6ee1:q13:announce_peer1:t2:"
            "\333*1"
            ":v4:LT\002\0101:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_ANNOUNCE_PEER,
        .has_target = true,
        .token = 4,
        .port = 46053,
        .transaction = 2,
        .version = 4,
    },
    {
        .name = "libtorrent-announce_peer",
        .datagram = DATAGRAM(
            "d1:ad2:id20:u\351\264\034\274l\271X\333j\007p\242\365\267\205\321J"
            "\023\26112:implied_porti1e9:info_hash20:xxxxxxxxxxxxxxxxxxxx4:"
            "porti46"
            "053e4:seedi0e5:token4:tokne1:q13:announce_peer1:t2:\225\3431:v4:LT"
            "\002\0101:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_ANNOUNCE_PEER,
        .has_target = true,
        .token = 4,
        .port = 46053,
        .transaction = 2,
        .version = 4,
    },
    {
        .name = "libtorrent-get",
        .datagram = DATAGRAM(
            "d1:ad2:id20:u\351\264\034\274l\271X\333j\007p\242\365\267\205\321J"
            "\023\2616:target20:\342\211\020\352\012\333\224\335E\316\327_"
            "\277\363"
            "\3415\300\033\3047e1:q3:get1:t2:\357`1:v4:LT\002\0101:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_GET,
        .has_target = true,
        .transaction = 2,
        .version = 4,
    },
    {
        .name = "libtorrent-get-want",
        .datagram = DATAGRAM(
            "d1:ad2:id20:u\351\264\034\274l\271X\333j\007p\242\365\267\205\321J"
            "\023\2616:target20:\342\211\020\352\012\333\224\335E\316\327_"
            "\277\363"
            "\3415\300\033\30474:wantl2:n6ee1:q3:get1:t2:\321\2161:v4:"
            "LT\002\0101:"
            "y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_GET,
        .has_target = true,
        .want6 = true,
        .transaction = 2,
        .version = 4,
    },
    {
        .name = "libtorrent-put",
        .datagram = DATAGRAM(
            "d1:ad2:id20:u\351\264\034\274l\271X\333j\007p\242\365\267\205\321J"
            "\023\2615:token4:tokn1:v5:helloe1:q3:put1:t2:*\3151:v4:"
            "LT\002\0101:y1"
            ":qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_PUT,
        .token = 4,
        .records = 1,
        .transaction = 2,
        .version = 4,
    },
    {
        .name = "libtorrent-sample_infohashes",
        .datagram = DATAGRAM("d1:ad2:id20:\355\"\257\0239@\374\344\010\214!"
                             "\021\237\230\362H\255wZ"
                             "\3146:target20:ffffffffffffffffffffe1:q17:sample_"
                             "infohashes1:t2:Ny1:v"
                             "4:LT\002\0101:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_SAMPLE_INFOHASHES,
        .has_target = true,
        .transaction = 2,
        .version = 4,
    },
    {
        .name = "libtorrent-put-want",
        .datagram = DATAGRAM(
            "d1:ad2:id20:u\351\264\034\274l\271X\333j\007p\242\365\267\205\321J"
            "\023\2615:token4:tokn1:v5:hello4:wantl2:n6ee1:q3:put1:t2:"
            "\320\2671:v4"
            ":LT\002\0101:y1:qe"),
        .kind = KAD_MESSAGE_QUERY,
        .method = KAD_METHOD_PUT,
        .token = 4,
        .records = 1,
        .transaction = 2,
        .version = 4,
    },
    {
        .name = "aria2-reply-nodes",
        .datagram =
            DATAGRAM("d1:rd2:id20:"
                     "\016\352l\203\371\001QG\370\331\276k\376\200\004\267\244"
                     "\002\257\0305:nodes26:"
                     "a44\243\345E\031\024\005d\036\346\245\306\303"
                     "\256#\203=\266\012\000\000\005\033Ye1:t4:Tfin1:v4:"
                     "A2\000\0031:y1:re"),
        .kind = KAD_MESSAGE_REPLY,
        .contacts = 1,
        .transaction = 4,
        .version = 4,
    },
    {
        .name = "aria2-reply-nodes-token",
        .datagram = DATAGRAM(
            "d1:rd2:id20:"
            "\016\352l\203\371\001QG\370\331\276k\376\200\004\267\244"
            "\002\257\0305:nodes26:"
            "a44\243\345E\031\024\005d\036\346\245\306\303"
            "\256#\203=\266\012\000\000\005\033Y5:token20:("
            "\321m\264\266\246\355P)"
            "\031/4!\322v\035y7\261\260e1:t4:Tget1:v4:A2\000\0031:y1:re"),
        .kind = KAD_MESSAGE_REPLY,
        .contacts = 1,
        .token = 20,
        .transaction = 4,
        .version = 4,
    },
    {
        .name = "transmission-reply-nodes",
        .datagram =
            DATAGRAM("d1:rd2:id20:\177k\352\355\356Su\312\015\377 "
                     "\205g`O\210;\314'\3655:no"
                     "des26:\200\335/"
                     "\202t94\350rn\232\241\224\236\357\013\361\215\307\233"
                     "\012\000\000\006\033Ye1:t4:Tfin1:y1:re"),
        .kind = KAD_MESSAGE_REPLY,
        .contacts = 1,
        .transaction = 4,
        .version = 0,
    },
    {
        .name = "transmission-reply-nodes-token",
        .datagram = DATAGRAM(
            "d1:rd2:id20:\177k\352\355\356Su\312\015\377 "
            "\205g`O\210;\314'\3655:no"
            "des26:\200\335/"
            "\202t94\350rn\232\241\224\236\357\013\361\215\307\233"
            "\012\000\000\006\033Y5:token8:\3150\240\255D\371\300\312e1:"
            "t4:Tget1:y"
            "1:re"),
        .kind = KAD_MESSAGE_REPLY,
        .contacts = 1,
        .token = 8,
        .transaction = 4,
        .version = 0,
    },
    {
        .name = "transmission-error-token",
        .datagram = DATAGRAM(
            "d1:eli203e30:Announce_peer with wrong tokene1:t4:Tann1:y1:ee"),
        .kind = KAD_MESSAGE_ERROR,
        .code = 203,
        .transaction = 4,
        .version = 0,
    },
};

static void assert_reads_as(const struct kad_message *message,
                            const struct sample *sample) {
  assert_int_equal(message->kind, sample->kind);
  assert_int_equal(message->method, sample->method);
  assert_int_equal(message->has_target, sample->has_target);
  assert_int_equal(message->want6, sample->want6);
  assert_false(message->want4);
  assert_int_equal(message->read_only, sample->read_only);
  assert_int_equal(message->observed.family != 0, sample->observed);
  assert_int_equal(message->port, sample->port);
  assert_int_equal(message->code, sample->code);
  assert_int_equal(message->contact_count, sample->contacts);
  assert_int_equal(message->record_count, sample->records);
  assert_int_equal(message->token.len, sample->token);
  assert_int_equal(message->transaction.len, sample->transaction);
  assert_int_equal(message->version.len, sample->version);
  assert_false(message->malformed);
}

static void datagrams_of_clients_are_read(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
    struct kad_message message;
    print_message("# %s\n", samples[i].name);
    assert_ok(kad_decode(&message, samples[i].datagram));
    assert_reads_as(&message, &samples[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(datagrams_of_clients_are_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
