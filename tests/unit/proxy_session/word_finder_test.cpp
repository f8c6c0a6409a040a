#include "proxy/session/word_finder.hpp"

#include <catch2/catch.hpp>

using hyperdrive::proxy::session::WordFinder;

namespace {

constexpr WordFinder kWords({{"setval", 'v', 1},
                             {"set_limit", '_', 2},
                             {"nextval", 'v', 4},
                             {";", ';', 8},
                             {"u&", '&', 16}});

}  // namespace

TEST_CASE("a word is found in any case and at any place") {
  CHECK(kWords.find("setval") == 1);
  CHECK(kWords.find("SELECT SetVal('a', 1)") == 1);
  CHECK(kWords.find("select set_LIMIT(0.1)") == 2);
  CHECK(kWords.find("xnextvalx") == 4);
  CHECK(kWords.find("select U&\"d\\0061ta\"") == 16);
}

TEST_CASE("all words of a text are found, those that share a letter too") {
  CHECK(kWords.find("select nextval('s'), setval('s', 3);") == (1 | 4 | 8));
}

TEST_CASE("a part of a word is not the word") {
  CHECK(kWords.find("") == 0);
  CHECK(kWords.find("v") == 0);
  CHECK(kWords.find("etval") == 0);
  CHECK(kWords.find("setva") == 0);
  CHECK(kWords.find("&u") == 0);
  CHECK(kWords.find("set\x1flimit") == 0);
}
