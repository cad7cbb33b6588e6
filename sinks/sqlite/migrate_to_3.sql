-- Version 3: family and subdomain of the product.
ALTER TABLE agent_runs ADD COLUMN product_family TEXT;
ALTER TABLE agent_runs ADD COLUMN subdomain TEXT;
