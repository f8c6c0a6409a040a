#include <catch2/catch.hpp>

#include "make.hpp"

using namespace cache_test;
using hyperdrive::core::CacheRule;
namespace sql = hyperdrive::proxy::sql;

TEST_CASE("table globs: with a dot they compare schema and table") {
  CHECK(matches_table("products", "public.products"));
  CHECK(matches_table("prod*", "shop.products"));
  CHECK(matches_table("shop.*", "shop.products"));
  CHECK_FALSE(matches_table("public.products", "shop.products"));
  CHECK(matches_table("*_log", "public.audit_log"));
  CHECK(matches_table("p?oducts", "public.products"));
  CHECK_FALSE(matches_table("Products", "public.products"));
  CHECK(matches_table("*", "public.anything"));
  CHECK_FALSE(matches_table("", "public.anything"));
  CHECK(matches_table("a*b*c", "public.a-xb-b--c"));
  CHECK_FALSE(matches_table("a*b*c", "public.a-xb-b--d"));
}

TEST_CASE("the config's times hold unless a rule or the comment says otherwise") {
  Policy policy;
  policy.rules = {CacheRule{"products", 5, {}, false}, CacheRule{"pro*", 1, 1, false},
                  CacheRule{"orders", 30, 0, false}, CacheRule{"secrets", {}, {}, true}};
  const std::vector<std::string> none{"public.other"}, products{"public.products"},
      both{"public.products", "public.orders"}, secret{"public.products", "public.secrets"};
  CHECK(policy.terms(none, {}).lifetime.max_age == 60s);
  CHECK(policy.terms(none, {}).lifetime.stale_while_revalidate == 15s);
  CHECK(policy.terms(products, {}).lifetime.max_age == 5s);
  CHECK(policy.terms(products, {}).lifetime.stale_while_revalidate == 15s);
  CHECK(policy.terms(both, {}).lifetime.max_age == 5s);
  CHECK(policy.terms(both, {}).lifetime.stale_while_revalidate == 0s);
  CHECK(policy.terms(secret, {}).bypass);
  CHECK(policy.terms(secret, {}).reason.find("secrets") != std::string::npos);

  sql::Hints hints;
  hints.max_age = 600;
  CHECK(policy.terms(products, hints).lifetime.max_age == 600s);
  CHECK(policy.terms(secret, hints).bypass);
  hints.no_cache = true;
  CHECK(policy.terms(none, hints).bypass);
  sql::Hints nothing;
  nothing.max_age = 0;
  nothing.stale_while_revalidate = 0;
  CHECK(policy.terms(none, nothing).bypass);
}
