//! serde_json: documents from values and typed structs, and back.

use crate::user;
use pierre_db::*;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Profile {
    name: String,
    age: Option<u8>,
    weight_kg: f64,
    zones: Vec<(u16, u16)>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[tokio::test]
async fn values() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client);
    for value in [
        json!({}),
        json!({"integers": [0, -1, i64::MAX, i64::MIN, 9_007_199_254_740_993_i64]}),
        json!({"floats": [0.1, -0.5, 1e-7, 1.0, 61.5, 5e-324, f64::MAX, f64::MIN_POSITIVE]}),
        json!({"nested": [[[]], {"a": {"b": [null, true, {"": "c"}]}}]}),
        json!({"unicode": "Äna 🏃🏽‍♀️ 日本 \u{7f}\u{2028}\"\\/\n\t\u{1}", "schlüssel": "ü"}),
    ] {
        client.upsert_user_profile(owner, &Document::from_value(&value)).await?;
        let stored = client.get_user_profile(owner).await?.expect("a profile");
        assert_eq!(stored.to_value::<Value>().expect("JSON"), value);
        let goal = client.create_goal(owner, &Document::from_value(&value)).await?;
        let goals = client.get_user_goals(owner, None, None).await?;
        let goal = goals.iter().find(|one| one.id == goal).expect("the goal");
        let whole: Value = goal.whole.to_value().expect("JSON");
        for (name, member) in value.as_object().expect("an object") {
            assert_eq!(&whole[name], member);
        }
    }
    Ok(())
}

/// Integers that the daemon would have to alter are refused.
#[tokio::test]
async fn what_no_store_keeps() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client);
    for value in [json!({"n": u64::MAX}), json!({"n": i64::MAX as u64 + 1}), json!(["a list"])] {
        let refused = client.upsert_user_profile(owner, &Document::from_value(&value)).await;
        assert!(matches!(refused, Err(Error::InvalidParams(_))), "{}: {:?}", value, refused);
    }
    assert_eq!(client.get_user_profile(owner).await?, None);
    Ok(())
}

#[tokio::test]
async fn structs() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client);
    let profile = Profile {
        name: "Äna".into(),
        age: None,
        weight_kg: 61.7,
        zones: vec![(100, 120), (121, 140)],
        rest: [("notes".to_string(), json!([null, {}]))].into_iter().collect(),
    };
    let text = serde_json::to_string(&profile).expect("JSON");
    client.upsert_user_profile(owner, &Document::new(text)).await?;
    let stored = client.get_user_profile(owner).await?.expect("a profile");
    assert_eq!(serde_json::from_str::<Profile>(stored.as_str()).expect("a profile"), profile);
    let value = serde_json::to_value(&profile).expect("a value");
    assert_eq!(stored.to_value::<Value>().expect("JSON"), value);
    client.upsert_user_profile(owner, &Document::from_value(&value)).await?;
    let again = client.get_user_profile(owner).await?.expect("a profile");
    assert_eq!(serde_json::from_str::<Profile>(again.as_str()).expect("a profile"), profile);
    Ok(())
}

#[tokio::test]
async fn any_value() -> Result<()> {
    let client = Client::private()?;
    let params = Json::from_value(&json!(["nobody@example.com"]));
    let nobody = client.call("get_user_by_email", Some(&params)).await?;
    assert_eq!(nobody.to_value::<Value>().expect("JSON"), Value::Null);
    let health: Value = client.daemon_health().await?.to_value().expect("JSON");
    assert_eq!(health["status"], "ok");
    assert!(Document::new("{").to_value::<Value>().is_err());
    Ok(())
}
