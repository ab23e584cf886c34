//! Several calls that take effect together.

use crate::executor::block_on;
use crate::sharing::poll_once;
use crate::{api_key, user, HASH};
use pierre_db::*;

fn new_user(email: &str) -> NewUser {
    let mut user = NewUser::new(email);
    user.password_hash = Some(Secret::from(HASH));
    user
}

#[test]
fn all_of_them() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    let mut all = client.transaction()?;
    assert!(all.is_empty());
    let bob = all.create_user(&new_user("bob@example.com"))?;
    let count = all.get_user_count()?;
    let nobody = all.get_user_by_email("nobody@example.com")?;
    let noted = all.update_last_active(owner)?;
    let goals = all.get_user_goals(owner, Some(5), None)?;
    let goal = all.create_goal(owner, &Document::new("{}"))?;
    assert_eq!(all.len(), 6);
    let results = block_on(all.run())?;
    assert_eq!(
        client.get_user_blocking(results.get(&bob)?)?.map(|user| user.id),
        Some(results.get(&bob)?)
    );
    assert_eq!((results.get(&count)?, results.get(&nobody)?), (2, None));
    results.get(&noted)?;
    assert!(results.get(&goals)?.is_empty());
    assert_eq!(client.get_user_goals_blocking(owner, None, None)?[0].id, results.get(&goal)?);
    assert!(matches!(all.get_user_count(), Err(Error::Misuse(_)))); // it has run
    Ok(())
}

#[test]
fn or_none() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    api_key(&client, owner, "key");
    let mut all = client.transaction()?;
    all.create_user(&new_user("bob@example.com"))?;
    all.record_api_key_usage(&ApiKeyUsageInput::new("key", "tool", 200))?;
    all.create_user(&new_user("ana@example.com"))?;
    let error = all.run_blocking().map(drop).unwrap_err();
    assert!(matches!(&error, Error::Conflict(failure) if failure.index == Some(2)), "{}", error);
    assert_eq!(client.get_user_count_blocking()?, 1);
    assert_eq!(client.get_api_key_current_usage_blocking("key")?, 0);
    let again = all.run_blocking().map(drop).unwrap_err();
    assert_eq!(again.failure().index, Some(2));
    Ok(())
}

#[test]
fn a_result_of_another_transaction_is_refused() -> Result<()> {
    let client = Client::private()?;
    let mut one = client.transaction()?;
    let count = one.get_user_count()?;
    let mut other = client.transaction()?;
    other.get_system_stats()?;
    let results = other.run_blocking()?;
    assert!(matches!(results.get(&count), Err(Error::Misuse(_))));
    assert_eq!(one.run_blocking()?.get(&count)?, 0);
    Ok(())
}

#[test]
fn refused_arguments_add_nothing() -> Result<()> {
    let client = Client::private()?;
    let mut all = client.transaction()?;
    assert!(matches!(all.get_user_by_email("\0"), Err(Error::InvalidParams(_))));
    assert!(matches!(
        all.create_goal(Uuid::default(), &Document::new("{")),
        Err(Error::InvalidParams(_))
    ));
    assert!(all.is_empty());
    for _ in 0..100 {
        all.get_user_count()?;
    }
    assert!(matches!(all.get_user_count(), Err(Error::Misuse(_))));
    Ok(())
}

#[test]
fn a_dropped_run_leaves_the_transaction() -> Result<()> {
    let client = Client::private()?;
    let mut all = client.transaction()?;
    let count = all.get_user_count()?;
    client.daemon_pause_blocking()?;
    assert!(poll_once(Box::pin(all.run()).as_mut()).is_pending());
    client.daemon_resume_blocking()?;
    assert_eq!(all.run_blocking()?.get(&count)?, 0);
    Ok(())
}

/// A run that was dropped may take effect. With a key, a further run is the same.
#[test]
fn a_key_makes_a_dropped_run_happen_once() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    let mut all = client.with_key("the key of a test")?.transaction()?;
    let goal = all.create_goal(owner, &Document::new("{}"))?;
    client.daemon_pause_blocking()?;
    assert!(poll_once(Box::pin(all.run()).as_mut()).is_pending());
    client.daemon_resume_blocking()?;
    let goal = all.run_blocking()?.get(&goal)?;
    let goals = client.get_user_goals_blocking(owner, None, None)?;
    assert_eq!(goals.iter().map(|goal| goal.id).collect::<Vec<_>>(), [goal]);
    Ok(())
}
