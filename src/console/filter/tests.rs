use proptest::prelude::*;

use super::syntax::{Expression, Field, Literal, Operand, Operator, Step};
use super::*;
use crate::kafka::fetch::{Headers, Record};
use crate::record_batch::testing;

fn headers(pairs: &[(&str, Option<&str>)]) -> Headers {
    pairs.iter().map(|(name, value)| (name.as_bytes(), value.map(str::as_bytes))).collect()
}

/// A record; only the parts that are asked for matter.
fn record(value: Option<&[u8]>, headers: Headers) -> Record {
    let mut record = testing::record(value, headers);
    (record.offset, record.timestamp, record.key) = (41, 1_795_247_359_123, Some("order-7".into()));
    record
}

fn matches(filter: &Filter, value: Option<&[u8]>) -> Result<bool, Fault> {
    filter.matches(&Subject::new(3, &record(value, Headers::default())))
}

fn ask(search: &str, value: &str) -> Result<bool, Fault> {
    let headers =
        headers(&[("x-event-type", Some("paid")), ("retries", Some("1")), ("retries", Some("12")), ("n", None)]);
    let filter = Filter::parse(search, false).unwrap_or_else(|error| panic!("{search}: {error}")).unwrap();
    filter.matches(&Subject::new(3, &record(Some(value.as_bytes()), headers)))
}

const LINE: &str = r#"{"level":"ERROR","service":"payments","took":1.50,"id":73314510714175488,"tags":["a","b",3],
    "user":{"odd name":"Zoë","roles":[{"name":"admin"}]},"none":null,"ok":true,"esc":"tab\tand \u0045RR"}"#;

#[test]
fn expressions_hold_of_what_is_there() {
    for search in [
        r#"$.level == "ERROR" && $.service =~ "pay""#,
        r#"$.level == "INFO" || $.took < 2"#,
        r#"$.took == 1.5 && $.took <= 1.500 && $.took >= 15e-1 && $.took > 1.4999"#,
        "$.id == 73314510714175488",
        "$.id != 73314510714175489",
        "!($.id == 73314510714175489)",
        r#"$.user["odd name"] == "Zoë""#,
        r#"$.user.roles[0].name == "admin""#,
        r#"$.tags contains "a" && $.tags contains 3 && !($.tags contains "c")"#,
        r#"$.service contains "men""#,
        "$.none exists && $.none == null && !($.missing exists)",
        r#"$.ok == true && $.ok != "true""#,
        r#"$.esc == "tab\tand ERR""#,
        r#"$.esc =~ /\tand E/"#,
        r#"$.level !~ /err/ && $.level =~ /err/i"#,
        r#"$.level < "F" && $.level > "E""#,
        "$.took =~ /^1\\.50$/",
        r#"$key == "order-7" && $key =~ /^order/"#,
        r#"$header.x-event-type == "paid" && $header["x-event-type"] exists"#,
        "$header.retries == 12 && $header.retries > 11 && $header.retries < 2",
        "$header.n == null && $header.n exists",
        "$partition == 3 && $offset >= 41 && $size > 200",
        r#"$timestamp > "2026-11-21T07:49:19Z" && $timestamp < "2026-11-21T07:49:20Z""#,
        r#"$value contains "\"level\"" && 41 == $offset"#,
        "$.took < $.id && $.service > $.level",
        "! ! ($.ok == true)",
    ] {
        assert_eq!(ask(search, LINE), Ok(true), "{search}");
    }
}

#[test]
fn nothing_is_said_of_what_is_not_there() {
    for search in [
        r#"$.missing == "x""#,
        r#"$.missing != "x""#,
        "$.missing < 1",
        "$.level.deeper == 1",
        "$.tags[9] != 1",
        "$.none < 5",
        "$header.missing != 1",
        r#"$.missing =~ /x/"#,
        r#"$.missing !~ /x/"#,
    ] {
        assert_eq!(ask(search, LINE), Ok(false), "{search}");
    }
    for value in ["", "plain ERROR level", r#"{"level":"ERROR""#, r#"{"level":"ERROR"} {}"#] {
        assert_eq!(ask(r#"$.level == "ERROR""#, value), Ok(false), "{value}");
        assert_eq!(ask(r#"$.level != "x""#, value), Ok(false), "{value}");
        assert_eq!(ask("$ exists", value), Ok(false), "{value}");
    }
    let filter = Filter::parse(r#"$.a == "b""#, false).unwrap().unwrap();
    assert_eq!(matches(&filter, None), Ok(false));
    assert_eq!(matches(&filter, Some(b"{\"a\":\"b\xff\"}")), Ok(false));
    assert_eq!(matches(&Filter::parse("$value == null", false).unwrap().unwrap(), None), Ok(true));
}

#[test]
fn a_question_without_an_answer_is_told() {
    let fault = ask("$.level < 5", LINE).unwrap_err().to_string();
    assert_eq!(fault, "$.level is a text and 5 is a number; < has no answer for that");
    let fault = ask(r#"$.user =~ /x/"#, LINE).unwrap_err().to_string();
    assert_eq!(fault, "$.user is an object; =~ takes a text");
    for search in ["$.user == 1", "$.tags == $.tags", "$.took contains 1", "$.ok > 1", "!($.level < 5)", "$key > 3"] {
        assert!(ask(search, LINE).is_err(), "{search}");
    }
    for decided in ["$.level < 5 && $.ok == false", r#"$.ok == false && $.level < 5"#] {
        assert_eq!(ask(decided, LINE), Ok(false), "{decided}");
    }
    assert_eq!(ask("$.level < 5 || $.ok == true", LINE), Ok(true));
    assert!(ask("$.level < 5 || $.ok == false", LINE).is_err());
}

#[test]
fn text_is_looked_for_everywhere() {
    for (search, value, found) in [
        ("error", LINE, true),
        ("ORDER-7", "", true),
        ("PAID", "", true),
        ("x-event", "", true),
        ("zOË", LINE, true),
        ("/err(or)?/", LINE, true),
        ("/^order-\\d$/", "", true),
        ("$5", "costs $5", true),
        ("\"$.a\"", "the text $.a", true),
        ("\"x\"", "x", true),
        ("/", "a/b", true),
        ("/api/v1", "GET /api/v1", true),
        ("a.c", "abc", false),
        ("missing", LINE, false),
    ] {
        assert_eq!(ask(search, value), Ok(found), "{search} in {value}");
    }
    let exact = Filter::parse("error", true).unwrap().unwrap();
    assert_eq!(matches(&exact, Some(LINE.as_bytes())), Ok(false));
    assert!(matches(&Filter::parse("/Err/", true).unwrap().unwrap(), Some(b"Err")).unwrap());
    assert!(Filter::parse("  ", true).unwrap().is_none());
}

#[test]
fn mistakes_are_named_with_their_column() {
    for (search, column, words) in [
        ("$.level = 1", 9, "not '='"),
        ("$.level == ", 12, "expected $.field"),
        ("$.level", 8, "expected an operator"),
        ("$.level == \"x", 14, "quotation mark"),
        ("$.a == 1 &&", 12, "expected $.field"),
        ("$.a == 1 $.b", 10, "expected &&"),
        ("($.a == 1", 10, "expected )"),
        ("$.a == 01", 8, "a number as in JSON"),
        ("$.a == yes", 8, "true, false or null"),
        ("$.a =~ /(/", 8, "regular expression: unclosed group"),
        ("$.a =~ 5", 8, "a pattern"),
        ("$foo == 1", 1, "not $foo"),
        ("$.é == \"\\q\"", 9, "a backslash itself"),
        ("  $. == 1", 5, "a name behind the dot"),
        ("$offset.a == 1", 1, "nothing behind $offset"),
        ("$header == 1", 1, "a header's name"),
        ("$timestamp > \"yesterday\"", 14, "a time such as"),
        ("$.a == 1 && 1 == 1", 13, "on one side"),
        ("/(/", 1, "regular expression"),
    ] {
        let error = Filter::parse(search, false).err().unwrap_or_else(|| panic!("{search} was taken"));
        assert_eq!(error.column, column, "{search}: {error}");
        assert!(error.reason.contains(words), "{search}: {error}");
    }
}

#[test]
fn what_would_take_too_much_is_refused() {
    for search in [
        format!("{}$.a == 1", "(".repeat(500)),
        format!("{}$.a == 1", "!".repeat(500)),
        vec!["$.a == 1"; 300].join(" || "),
        "x".repeat(MAX_LENGTH + 1),
        r"/(\w{100}){100}/".to_owned(),
    ] {
        assert!(Filter::parse(&search, false).is_err(), "{}", &search[..20]);
    }
}

#[test]
fn columns_show_what_is_written() {
    let headers = headers(&[("type", Some("paid"))]);
    let record = record(Some(LINE.as_bytes()), headers);
    let subject = Subject::new(3, &record);
    let columns =
        Column::parse_all(r#"$.id,$.service, $.tags,$.user.roles[0],$header.type,$key,$partition,$.x"#).unwrap();
    let shown: Vec<_> = columns.iter().map(|column| column.of(&subject)).collect();
    let wanted = ["73314510714175488", "payments", r#"["a","b",3]"#, r#"{"name":"admin"}"#, "paid", "order-7", "3"];
    let wanted: Vec<_> = wanted.iter().map(|text| Some((*text).to_owned())).chain([None]).collect();
    assert_eq!(shown, wanted);
    assert_eq!(Column::parse_all(""), Ok(Vec::new()));
    assert!(Column::parse_all("$.a,").is_err());
}

fn path() -> impl Strategy<Value = Path> {
    let step = prop_oneof![
        any::<String>().prop_map(Step::Name),
        "[a-z-]{1,5}".prop_map(Step::Name),
        any::<usize>().prop_map(Step::Index)
    ];
    let deep = prop_oneof![Just(Field::Value), Just(Field::Key), any::<String>().prop_map(Field::Header)];
    let flat = prop_oneof![
        Just(Field::Text),
        Just(Field::Partition),
        Just(Field::Offset),
        Just(Field::Timestamp),
        Just(Field::Size)
    ];
    let deep = (deep, prop::collection::vec(step, 0..4)).prop_map(|(field, steps)| Path { field, steps });
    prop_oneof![4 => deep, 1 => flat.prop_map(|field| Path { field, steps: Vec::new() })]
}

fn literal() -> impl Strategy<Value = Literal> {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:e}"))
    ];
    prop_oneof![
        // Beside $timestamp a text would become a number.
        number.prop_map(|text| Literal::Number(number::Number::parse(&text).unwrap())),
        any::<bool>().prop_map(Literal::Bool),
        Just(Literal::Null),
    ]
}

fn expression() -> impl Strategy<Value = Expression> {
    let operator = prop::sample::select(vec![
        Operator::Equal,
        Operator::Unequal,
        Operator::Less,
        Operator::AtMost,
        Operator::Greater,
        Operator::AtLeast,
        Operator::Contains,
    ]);
    let pattern = (prop_oneof!["[a-z/.]{0,8}", Just(r"\d/\\".to_owned())], any::<bool>());
    let pattern = pattern.prop_map(|(text, insensitive)| Pattern { text, insensitive });
    let text = (any::<String>(), prop::collection::vec("[a-z]{1,3}", 1..3)).prop_map(|(text, names)| {
        let path = Path { field: Field::Value, steps: names.into_iter().map(Step::Name).collect() };
        Expression::Compare {
            left: Operand::Path(path),
            operator: Operator::Equal,
            right: Operand::Literal(Literal::Text(text)),
        }
    });
    let leaf = prop_oneof![
        text,
        path().prop_map(Expression::Exists),
        (path(), operator.clone(), literal()).prop_map(|(left, operator, right)| Expression::Compare {
            left: Operand::Path(left),
            operator,
            right: Operand::Literal(right)
        }),
        (path(), operator, path()).prop_map(|(left, operator, right)| Expression::Compare {
            left: Operand::Path(left),
            operator,
            right: Operand::Path(right)
        }),
        (path(), pattern, any::<bool>()).prop_map(|(path, pattern, negated)| Expression::Matches {
            path,
            pattern,
            negated
        }),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        let parts = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            parts.clone().prop_map(Expression::All),
            parts.prop_map(Expression::Any),
            inner.prop_map(|inner| Expression::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(expression in expression()) {
        let written = expression.to_string();
        prop_assert_eq!(parser::expression(&written), Ok(expression), "{}", written);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), odd in r#"[$.a"\[\]/()!=<>&|~ 01-]{0,30}"#) {
        read_and_write(&text);
        read_and_write(&odd);
    }

    /// Looking at the bytes first changes no answer.
    #[test]
    fn short_cuts_are_right(value in any::<String>(), name in any::<String>(), wanted in any::<String>(), escaped: bool) {
        let mut json = serde_json::json!({ name.clone(): value }).to_string();
        if escaped {
            json = json.chars().map(|c| if c.is_alphabetic() { format!("\\u{:04x}", c as u32).chars().take(6).collect() } else { c.to_string() }).collect::<String>();
        }
        for wanted in [&wanted, &value] {
            let path = Path { field: Field::Value, steps: vec![Step::Name(name.clone())] };
            let expression = Expression::Compare { left: Operand::Path(path), operator: Operator::Equal, right: Operand::Literal(Literal::Text(wanted.clone())) };
            let found: Option<serde_json::Value> = serde_json::from_str(&json).ok();
            let expected = found.is_some_and(|found| found[&name] == wanted.as_str());
            let record = record(Some(json.as_bytes()), Headers::default());
            let holds = Plan::new(&expression).holds(&Subject::new(3, &record));
            prop_assert_eq!(holds, Ok(expected), "{} of {}", expression, json);
        }
    }
}
