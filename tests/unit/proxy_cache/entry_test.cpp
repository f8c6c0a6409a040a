#include <catch2/catch.hpp>

#include "make.hpp"

using namespace cache_test;

TEST_CASE("an entry gives back exactly the rows it was made of, whatever the pieces") {
  for (const std::size_t size : {0ul, 1ul, 65'535ul, 65'536ul, 65'537ul, 131'072ul, 500'001ul}) {
    for (const std::size_t step : {1'000ul, 65'536ul, 70'000ul, 1'000'000ul}) {
      std::string all(size, ' ');
      for (std::size_t i = 0; i < size; ++i) all[i] = static_cast<char>('a' + i * 7 % 26);
      RowBytes rows;
      for (std::size_t at = 0; at < size; at += step) rows.append(Bytes(all).substr(at, step));
      REQUIRE(rows.size() == size);
      EntryFacts facts;
      facts.key = "key";
      facts.head = "columns";
      facts.tail = "SELECT 5";
      const EntryRef made = Entry::make(facts, std::move(rows));
      REQUIRE(rows_of(*made) == all);
      CHECK(made->rows_size() == size);
      CHECK(made->key() == "key");
      CHECK(made->head() == "columns");
      CHECK(made->tail() == "SELECT 5");
      CHECK(made->footprint() >= size);
    }
  }
}

TEST_CASE("only one caller gets to refresh, until its lease is over") {
  const EntryRef made = entry("k");
  CHECK(made->claim_refresh(kStart, 30s));
  CHECK_FALSE(made->claim_refresh(kStart + 1s, 30s));
  CHECK(made->claim_refresh(kStart + 31s, 30s));
  made->postpone_refresh(kStart + 32s);
  CHECK_FALSE(made->claim_refresh(kStart + 31s, 30s));
  CHECK(made->claim_refresh(kStart + 32s, 30s));
}
